#include "tests/bench/load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

// As many as the servers' own; they share the machine.
constexpr size_t kThreads = 2;
constexpr int kChannels = 4;
constexpr std::chrono::seconds kDeadline(10);

using Milliseconds = std::chrono::duration<float, std::milli>;

// A slot while a load runs.
struct Busy {
  Slot* slot;
  SteadyTime started;
};

// One thread's part of a load.
class Loop {
 public:
  Loop(SteadyTime begin, SteadyTime end, std::atomic<bool>& stop)
      : begin_(begin), end_(end), stop_(stop) {}

  void Add(Slot& slot) { busy_.push_back({&slot, {}}); }

  void Run() {
    for (Busy& busy : busy_) Start(busy, std::chrono::steady_clock::now());
    void* tag = nullptr;
    bool ok = false;
    while (in_flight_ > 0 && queue_.Next(&tag, &ok)) {
      --in_flight_;
      ++calls_;
      Busy& busy = *static_cast<Busy*>(tag);
      const SteadyTime now = std::chrono::steady_clock::now();
      if (absl::Status status = busy.slot->Finish(); !status.ok()) {
        status_ = status;
        stop_ = true;
      }
      if (now >= begin_ && now < end_) {
        latencies_ms_.push_back(Milliseconds(now - busy.started).count());
      }
      if (now < end_ && !stop_) Start(busy, now);
    }
    queue_.Shutdown();
    while (queue_.Next(&tag, &ok)) {
    }
  }

  const absl::Status& status() const { return status_; }
  int64_t calls() const { return calls_; }
  const std::vector<float>& latencies_ms() const { return latencies_ms_; }

 private:
  void Start(Busy& busy, SteadyTime now) {
    busy.started = now;
    ++in_flight_;
    busy.slot->Start(queue_, &busy);
  }

  const SteadyTime begin_;
  const SteadyTime end_;
  std::atomic<bool>& stop_;
  grpc::CompletionQueue queue_;
  std::vector<Busy> busy_;
  int in_flight_ = 0;
  int64_t calls_ = 0;
  absl::Status status_;
  std::vector<float> latencies_ms_;
};

}  // namespace

absl::StatusOr<LoadResult> RunLoad(const std::vector<std::unique_ptr<Slot>>& slots,
                                   absl::Duration warm_up, absl::Duration duration) {
  const SteadyTime begin = SteadyDeadline(warm_up);
  const SteadyTime end = begin + absl::ToChronoNanoseconds(duration);
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<Loop>> loops;
  for (size_t i = 0; i < std::min(kThreads, slots.size()); ++i) {
    loops.push_back(std::make_unique<Loop>(begin, end, stop));
  }
  for (size_t i = 0; i < slots.size(); ++i) loops[i % loops.size()]->Add(*slots[i]);
  std::vector<std::thread> threads;
  for (auto& loop : loops) threads.emplace_back([&loop] { loop->Run(); });
  for (std::thread& thread : threads) thread.join();

  LoadResult result;
  result.elapsed = duration;
  for (const auto& loop : loops) {
    if (!loop->status().ok()) return loop->status();
    result.all_calls += loop->calls();
    result.latencies_ms.insert(result.latencies_ms.end(), loop->latencies_ms().begin(),
                               loop->latencies_ms().end());
  }
  std::sort(result.latencies_ms.begin(), result.latencies_ms.end());
  result.calls = static_cast<int64_t>(result.latencies_ms.size());
  if (result.calls == 0) return absl::InternalError("no call was answered in the measured time");
  return result;
}

absl::StatusOr<Channels> Channels::Connect(const std::string& address) {
  Channels channels;
  for (int i = 0; i < kChannels; ++i) {
    grpc::ChannelArguments arguments;
    // Channels to one address would share one connection otherwise.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channels.channels_.push_back(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    if (!channels.channels_.back()->WaitForConnected(std::chrono::system_clock::now() +
                                                     std::chrono::seconds(10))) {
      return absl::UnavailableError(absl::StrCat("nothing answers at ", address));
    }
  }
  return channels;
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
}

}  // namespace lowmark
