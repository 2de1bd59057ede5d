#include "service/core/lease.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

// Epochs leave 2^40 to each timeline: 34 years of leases at 1000 a second.
constexpr int kTimelineShift = 40;

std::string Name(const Shard& shard) { return absl::StrCat(shard.stream, "/", shard.shard); }

}  // namespace

Shard NewShard(const std::string& stream, const std::string& shard, int32_t parents_left,
               bool continues, const Policy& policy) {
  Shard fresh;
  fresh.stream = stream;
  fresh.shard = shard;
  fresh.parents_left = parents_left;
  fresh.state.position = continues ? Position::TrimHorizon() : policy.starting_position;
  return fresh;
}

absl::StatusOr<ReportKind> CheckReport(const Shard& shard, const std::string& worker, int64_t epoch,
                                       int64_t delivery) {
  // A shard that is done has no owner left, but the report that ended it may
  // still be repeated.
  const bool holds = shard.epoch == epoch && (shard.owner == worker || shard.state.done());
  if (!holds) {
    return Aborted(kLeaseFenced,
                   absl::StrCat("worker ", worker, " does not hold epoch ", epoch, " of shard ",
                                Name(shard), "; its epoch is ", shard.epoch,
                                shard.owner.empty() ? ", free" : ", leased to " + shard.owner));
  }
  if (delivery == shard.state.delivery - 1) return ReportKind::kRepeated;
  if (delivery == shard.state.delivery && shard.state.outstanding) return ReportKind::kCurrent;
  return Aborted(kStaleDelivery, absl::StrCat("delivery ", delivery, " of shard ", Name(shard),
                                              " is not current; ", shard.state.delivery, " is"));
}

int64_t NextEpoch(int64_t epoch, int64_t timeline) {
  return std::max(epoch + 1, timeline << kTimelineShift);
}

int64_t TimelineOf(int64_t epoch) { return epoch >> kTimelineShift; }

bool IsFromBefore(int64_t epoch, int64_t timeline) { return TimelineOf(epoch) < timeline; }

std::string BatchName(const std::string& stream, const std::string& shard, int64_t epoch,
                      int64_t batch_id) {
  return absl::StrCat(stream, "/", shard, "/", TimelineOf(epoch), ".", batch_id);
}

absl::StatusOr<GrantResult> Grant(const Shard& shard, const std::string& worker, int64_t timeline,
                                  const Policy& policy, absl::Time now, double jitter01) {
  if (!shard.leasable() || policy.paused) {
    return absl::FailedPreconditionError(absl::StrCat("shard ", Name(shard), " is not free"));
  }
  auto step = Step(shard.state, policy, Granted{}, now, jitter01);
  if (!step.ok()) return step.status();
  GrantResult result{shard, *std::move(step)};
  result.shard.owner = worker;
  result.shard.epoch = NextEpoch(shard.epoch, timeline);
  result.shard.state = result.step.state;
  return result;
}

absl::StatusOr<Shard> Release(const Shard& shard, const std::string& worker, int64_t epoch) {
  if (shard.epoch == epoch && shard.owner.empty()) return shard;
  if (shard.epoch != epoch || shard.owner != worker) {
    return Aborted(kLeaseFenced, absl::StrCat("worker ", worker, " does not hold epoch ", epoch,
                                              " of shard ", Name(shard)));
  }
  auto step = Step(shard.state, Policy{}, Released{}, absl::UnixEpoch(), 0);
  if (!step.ok()) return step.status();
  Shard released = shard;
  released.owner.clear();
  released.state = step->state;
  return released;
}

Shard Vacate(const Shard& shard) {
  Shard vacated = shard;
  vacated.owner.clear();
  return vacated;
}

absl::StatusOr<Shard> Seek(const Shard& shard, const Position& position, int64_t timeline,
                           const Policy& policy) {
  auto step = Step(shard.state, policy, Sought{position}, absl::UnixEpoch(), 0);
  if (!step.ok()) return step.status();
  Shard moved = shard;
  moved.state = step->state;
  moved.owner.clear();
  moved.epoch = NextEpoch(shard.epoch, timeline);
  return moved;
}

}  // namespace lowmark
