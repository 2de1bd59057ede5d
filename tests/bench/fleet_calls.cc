#include "tests/bench/fleet_calls.h"

#include <algorithm>
#include <chrono>

#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr int64_t kTenthsInSecond = 10;
constexpr double kRequestsOfFailure = 3;

int64_t Tenth(SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() /
         (1000 / kTenthsInSecond);
}

}  // namespace

void FleetCalls::NoteAnswer(FleetMethod method, SteadyTime sent, const absl::Status& status,
                            bool served) {
  const SteadyTime now = std::chrono::steady_clock::now();
  CallFigures& figures = figures_[static_cast<size_t>(method)];
  ++figures.answered;
  if (!status.ok()) ++figures.errors[Reason(status)];
  if (status.ok() && served) {
    figures.latencies_ms.push_back(std::chrono::duration<float, std::milli>(now - sent).count());
  }
  const bool failed = absl::IsUnavailable(status);
  sent_[Tenth(sent)].calls += 1;
  sent_[Tenth(failed ? now : sent)].requests += failed ? kRequestsOfFailure : 1;
}

CallFigures FleetCalls::Figures(FleetMethod method) const {
  CallFigures figures = figures_[static_cast<size_t>(method)];
  std::sort(figures.latencies_ms.begin(), figures.latencies_ms.end());
  return figures;
}

void FleetCalls::Reset() { figures_ = {}; }

int64_t FleetCalls::Errors(const std::string& reason) const {
  int64_t count = 0;
  for (const CallFigures& figures : figures_) {
    auto found = figures.errors.find(reason);
    if (found != figures.errors.end()) count += found->second;
  }
  return count;
}

FleetCalls::Sent FleetCalls::Rate(SteadyTime from, SteadyTime until) const {
  Sent sum;
  for (auto it = sent_.lower_bound(Tenth(from)); it != sent_.end() && it->first < Tenth(until);
       ++it) {
    sum.calls += it->second.calls;
    sum.requests += it->second.requests;
  }
  const auto tenths = static_cast<double>(std::max<int64_t>(1, Tenth(until) - Tenth(from)));
  return {sum.calls * kTenthsInSecond / tenths, sum.requests * kTenthsInSecond / tenths};
}

FleetCalls::Sent FleetCalls::BusiestSecond(SteadyTime from, SteadyTime until) const {
  Sent most;
  for (SteadyTime at = from; at + std::chrono::seconds(1) <= until;
       at += std::chrono::milliseconds(100)) {
    const Sent second = Rate(at, at + std::chrono::seconds(1));
    most.calls = std::max(most.calls, second.calls);
    most.requests = std::max(most.requests, second.requests);
  }
  return most;
}

}  // namespace lowmark
