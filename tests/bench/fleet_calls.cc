#include "tests/bench/fleet_calls.h"

#include <algorithm>
#include <chrono>

#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr int64_t kTenthsInSecond = 10;
constexpr int64_t kRequestsOfFailure = 3;

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
  // A call that failed was sent for the last time just now.
  const bool failed = absl::IsUnavailable(status);
  requests_[Tenth(failed ? now : sent)] += failed ? kRequestsOfFailure : 1;
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

double FleetCalls::Rate(SteadyTime from, SteadyTime until) const {
  int64_t sum = 0;
  for (auto it = requests_.lower_bound(Tenth(from));
       it != requests_.end() && it->first < Tenth(until); ++it) {
    sum += it->second;
  }
  const int64_t tenths = std::max<int64_t>(1, Tenth(until) - Tenth(from));
  return static_cast<double>(sum * kTenthsInSecond) / static_cast<double>(tenths);
}

double FleetCalls::BusiestSecond(SteadyTime from, SteadyTime until) const {
  double most = 0;
  for (SteadyTime at = from; at + std::chrono::seconds(1) <= until;
       at += std::chrono::milliseconds(100)) {
    most = std::max(most, Rate(at, at + std::chrono::seconds(1)));
  }
  return most;
}

}  // namespace lowmark
