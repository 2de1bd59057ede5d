#include "worker/internal/handler_runs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

// A handler that keeps its own deadline returns at it, not before: what it says
// then is better than our guess that it is stuck.
constexpr absl::Duration kSlack = absl::Milliseconds(500);

// A renewal may have been applied, and the answer seen, with some delay, and the
// handler's first effects come a little after its start.
absl::Duration Margin(absl::Duration ttl) { return ttl / 6; }

HandlerResult Timeout(absl::Duration timeout) {
  return HandlerResult::Raised(
      "Timeout", absl::StrCat("the handler did not return within ", absl::FormatDuration(timeout)));
}

}  // namespace

void LeaseTrust::Renew(SteadyTime sent, absl::Duration ttl) {
  const auto until = (sent + absl::ToChronoNanoseconds(ttl - Margin(ttl))).time_since_epoch();
  until_ = std::max<SteadyTime::rep>(
      until_, std::chrono::duration_cast<SteadyTime::duration>(until).count());
}

// A batch on its way through the handler.
struct HandlerRuns::Run_ {
  Batch batch;
  absl::Duration timeout;
  // Whoever sets it first, the thread that begins or the loop that withdraws.
  std::atomic<bool> taken{false};
  // The loop's alone:
  OnEnd on_end;  // empty once it was called or the run abandoned
  EventLoop::TimerId overrun_timer = 0;
  bool overrun = false;
};

HandlerRuns::HandlerRuns(std::shared_ptr<EventLoop> loop, std::shared_ptr<Handler> handler,
                         int threads, std::shared_ptr<const LeaseTrust> trust,
                         std::function<void(const std::string& shard)> on_idle)
    : shared_{std::move(loop), std::move(handler), std::move(trust)},
      on_idle_(std::move(on_idle)),
      pool_(threads) {}

void HandlerRuns::Run(Batch batch, absl::Duration timeout, OnEnd on_end) {
  auto run = std::make_shared<Run_>();
  run->batch = std::move(batch);
  run->timeout = timeout;
  run->on_end = std::move(on_end);
  runs_.emplace(run->batch.shard, run);
  pool_.Submit([shared = shared_, this, run] { Execute(shared, this, run); });
}

void HandlerRuns::Execute(const Shared& shared, HandlerRuns* runs, const RunPtr& run) {
  if (run->taken.exchange(true)) return;
  End end;
  const SteadyTime begin = std::chrono::steady_clock::now();
  if (!shared.trust->Holds(begin)) {
    end.kind = End::Kind::kUntrusted;
  } else {
    shared.loop->Post([runs, run] { runs->OnBegun(run); });
    run->batch.deadline = absl::Now() + run->timeout;
    end.result = shared.handler->Process(run->batch);
    end.duration = absl::FromChrono(std::chrono::steady_clock::now() - begin);
    if (end.duration > run->timeout && end.result.kind != HandlerResult::Kind::kNotRun) {
      end.result = Timeout(run->timeout);
    }
  }
  shared.loop->Post([runs, run, end = std::move(end)] { runs->OnReturned(run, end); });
}

bool HandlerRuns::Withdraw(const std::string& shard) {
  auto found = runs_.find(shard);
  if (found == runs_.end() || found->second->taken.exchange(true)) return false;
  runs_.erase(found);
  return true;
}

void HandlerRuns::Abandon(const std::string& shard) {
  if (Withdraw(shard)) return;
  if (auto found = runs_.find(shard); found != runs_.end()) found->second->on_end = nullptr;
}

absl::Duration HandlerRuns::longest_overrun(SteadyTime now) const {
  absl::Duration longest = absl::ZeroDuration();
  for (const auto& [shard, since] : overruns_) {
    longest = std::max(longest, absl::FromChrono(now - since));
  }
  return longest;
}

void HandlerRuns::OnBegun(const RunPtr& run) {
  run->overrun_timer = shared_.loop->After(run->timeout + kSlack, [this, run] { OnOverrun(run); });
}

void HandlerRuns::OnOverrun(const RunPtr& run) {
  run->overrun_timer = 0;
  run->overrun = true;
  overruns_.emplace(run->batch.shard, std::chrono::steady_clock::now());
  pool_.AddThread();
  OnEnd on_end = std::exchange(run->on_end, nullptr);
  if (on_end) on_end({End::Kind::kOverrun, Timeout(run->timeout), run->timeout});
}

void HandlerRuns::OnReturned(const RunPtr& run, const End& end) {
  shared_.loop->Cancel(run->overrun_timer);
  const std::string shard = run->batch.shard;
  runs_.erase(shard);
  if (run->overrun) {
    overruns_.erase(shard);
    pool_.RemoveThread();
  }
  OnEnd on_end = std::exchange(run->on_end, nullptr);
  if (on_end) {
    on_end(end);
  } else {
    on_idle_(shard);
  }
}

}  // namespace lowmark
