#include "tests/conformance/core_shard.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lowmark::conformance {
namespace {

constexpr int64_t kTimeline = 1;  // PostgreSQL's first
constexpr double kJitter01 = 0.5;

}  // namespace

absl::Status CoreShard::Create(const Policy& policy) {
  if (auto s = policy.Validate(); !s.ok()) return s;
  policy_ = policy;
  shard_ = NewShard("stream", "shard", 0, false, policy);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Current>> CoreShard::Lease() {
  if (!shard_.leasable() || policy_.paused) return std::nullopt;
  auto granted = Grant(shard_, Worker(), kTimeline, policy_, now_, kJitter01);
  if (!granted.ok()) return granted.status();
  shard_ = granted->shard;
  Apply(granted->step);
  return Now();
}

absl::StatusOr<Current> CoreShard::Report(const ShardReport& report) {
  auto kind = CheckReport(shard_, Worker(), report.epoch, report.delivery);
  if (!kind.ok()) return kind.status();
  if (*kind == ReportKind::kRepeated) return Now();
  auto result = Step(shard_.state, policy_, report.event, now_, kJitter01);
  if (!result.ok()) return result.status();
  Apply(*result);
  return Now();
}

void CoreShard::Die() {
  shard_ = Vacate(shard_);
  now_ += absl::Hours(2);  // sessions outlast every backoff
  ++workers_;
}

absl::Status CoreShard::Seek(const Position& position) {
  auto moved = lowmark::Seek(shard_, position, kTimeline, policy_);
  if (moved.ok()) shard_ = *moved;
  return moved.status();
}

absl::StatusOr<std::string> CoreShard::Snapshot() {
  const ShardState& s = shard_.state;
  return absl::StrCat(shard_.owner, " ", shard_.epoch, " ", s.position.ToString(), " [",
                      absl::StrJoin(s.bounds, " "), "] ", s.batch_id, " ", s.delivery, " ",
                      s.attempts, " ", s.lost_deliveries, " ", absl::FormatTime(s.not_before), " ",
                      s.outstanding, " ", s.declared.has_value(), " ", dead_letters_.size());
}

std::string CoreShard::Worker() const { return absl::StrCat("worker-", workers_); }

void CoreShard::Apply(const StepResult& result) {
  shard_.state = result.state;
  if (result.state.done()) shard_.owner.clear();
  dead_letters_.insert(dead_letters_.end(), result.dead_letters.begin(), result.dead_letters.end());
}

Current CoreShard::Now() {
  Current current;
  current.epoch = shard_.epoch;
  current.done = shard_.state.done();
  if (current.done) return current;
  const Delivery delivery = CurrentDelivery(shard_.state, policy_, now_);
  current.delivery = delivery.delivery;
  current.batch_id = absl::StrCat(delivery.batch_id);
  current.start = delivery.start;
  current.end_sequence = delivery.end_sequence;
  current.max_records = delivery.max_records;
  current.backoff = delivery.delay > absl::ZeroDuration();
  current.declare = delivery.declare;
  return current;
}

}  // namespace lowmark::conformance
