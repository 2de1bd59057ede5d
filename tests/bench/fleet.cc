#include "tests/bench/fleet.h"

#include <algorithm>
#include <limits>

#include "service/process/mutex.h"

namespace lowmark {
namespace {

// Connections to a coordinator: one does not carry a thousand calls well.
constexpr int kConnections = 4;
constexpr absl::Duration kAskAgain = absl::Milliseconds(5);
constexpr absl::Duration kNoteLateness = absl::Milliseconds(20);

}  // namespace

// What a thread waits for.
struct Fleet::Waiting {
  std::function<bool()> condition;
  SteadyTime deadline;
  Mutex mutex;
  CondVar changed;
  bool over LOWMARK_GUARDED_BY(mutex) = false;
  bool held LOWMARK_GUARDED_BY(mutex) = false;
};

Fleet::Fleet(const std::vector<std::string>& coordinators) : random_(std::random_device{}()) {
  for (const std::string& address : coordinators) {
    auto& clients = clients_.emplace_back();
    for (int i = 0; i < kConnections; ++i) {
      clients.push_back(std::make_unique<CoordinatorClient>(address, loop_));
    }
  }
  loop_.Post([this] { NoteLateness(); });
  thread_ = std::thread([this] { loop_.Run(); });
}

Fleet::~Fleet() {
  loop_.Post([this] {
    for (const auto& worker : workers_) worker->Kill();
    loop_.Quit();
  });
  thread_.join();
  clients_.clear();
  loop_.Close();
}

void Fleet::Run(std::function<void()> function) {
  Await(
      [&] {
        function();
        return true;
      },
      absl::InfiniteDuration());
}

bool Fleet::Await(std::function<bool()> condition, absl::Duration timeout) {
  auto waiting = std::make_shared<Waiting>();
  waiting->condition = std::move(condition);
  waiting->deadline = SteadyDeadline(timeout);
  loop_.Post([this, waiting] { Ask(waiting); });
  MutexLock lock(waiting->mutex);
  while (!waiting->over) waiting->changed.Wait(waiting->mutex);
  return waiting->held;
}

void Fleet::Ask(const std::shared_ptr<Waiting>& waiting) {
  const bool held = waiting->condition();
  if (!held && std::chrono::steady_clock::now() < waiting->deadline) {
    loop_.After(kAskAgain, [this, waiting] { Ask(waiting); });
    return;
  }
  MutexLock lock(waiting->mutex);
  waiting->over = true;
  waiting->held = held;
  waiting->changed.NotifyAll();
}

void Fleet::NoteLateness() {
  const SteadyTime due = SteadyDeadline(kNoteLateness);
  loop_.At(due, [this, due] {
    const auto late = std::chrono::steady_clock::now() - due;
    lateness_ms_.push_back(std::chrono::duration<float, std::milli>(late).count());
    NoteLateness();
  });
}

std::vector<float> Fleet::LatenessMs() const {
  std::vector<float> lateness = lateness_ms_;
  std::sort(lateness.begin(), lateness.end());
  return lateness;
}

void Fleet::Pause(absl::Duration duration) {
  Await([] { return false; }, duration);
}

FleetWorker& Fleet::Add(const FleetWorkerOptions& options, size_t coordinator) {
  auto& clients = clients_[coordinator];
  workers_.push_back(
      std::make_unique<FleetWorker>(options, FleetShared{loop_, ledger_, calls_, random_},
                                    *clients[workers_.size() / clients_.size() % clients.size()]));
  return *workers_.back();
}

int64_t Fleet::Held() const {
  int64_t held = 0;
  for (const auto& worker : workers_) held += worker->held();
  return held;
}

bool Fleet::Fair() const {
  int most = 0;
  int least = std::numeric_limits<int>::max();
  for (const auto& worker : workers_) {
    if (worker->dead()) continue;
    most = std::max(most, worker->held());
    least = std::min(least, worker->held());
  }
  return most - least <= 1;
}

}  // namespace lowmark
