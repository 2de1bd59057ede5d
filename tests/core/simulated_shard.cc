#include "tests/core/simulated_shard.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr double kJitter01 = 0.5;
// A batch of 10000 is halved 14 times; one more bound is the batch's own end.
constexpr size_t kMostBounds = 15;

}  // namespace

std::vector<std::string> PlainSequences(int count) {
  std::vector<std::string> sequences;
  for (int i = 1; i <= count; ++i) sequences.push_back(std::to_string(i));
  return sequences;
}

SimulatedShard::SimulatedShard(Policy policy, std::vector<std::string> sequences)
    : policy_(std::move(policy)), sequences_(std::move(sequences)) {
  for (size_t i = 0; i < sequences_.size(); ++i) ordinals_[sequences_[i]] = static_cast<int>(i) + 1;
  shard_ = NewShard("stream", "shard", 0, false, policy_);
  Grant();
}

Play SimulatedShard::Drain(const ScriptedHandler& handler, int limit) {
  while (!Drained()) {
    if (static_cast<int>(play_.deliveries.size()) == limit) {
      play_.drained = false;
      break;
    }
    Deliver(handler);
  }
  return play_;
}

bool SimulatedShard::Deliver(const ScriptedHandler& handler) {
  const std::vector<int> batch = Batch();
  if (batch.empty()) return false;
  const auto number = batches_.emplace(delivery_.batch_id, batches_.size() + 1).first->second;
  const bool backoff = delivery_.delay > absl::ZeroDuration();
  now_ += delivery_.delay;
  play_.deliveries.push_back({batch, number, backoff, delivery_.declare, ""});
  const size_t index = play_.deliveries.size() - 1;
  if (delivery_.declare) Report(Started{Names(batch)});
  const Answer answer = handler(batch);
  if (answer.kind == Answer::Kind::kDie) {
    LoseWorker();
  } else {
    Report(ToEvent(batch, answer));
  }
  play_.deliveries[index].checkpoint = Checkpoint();
  return true;
}

void SimulatedShard::LoseWorker() {
  const Shard lost = shard_;
  shard_ = Vacate(shard_);
  now_ += absl::Hours(2);  // the session ends long after any backoff
  Grant();
  // The lost worker was only slow: what it reports now changes nothing.
  EXPECT_EQ(Reason(CheckReport(shard_, lost.owner, lost.epoch, lost.state.delivery).status()),
            kLeaseFenced);
}

void SimulatedShard::HandOver() {
  const ShardState before = shard_.state;
  auto released = Release(shard_, shard_.owner, shard_.epoch);
  ASSERT_TRUE(released.ok()) << released.status();
  shard_ = *released;
  EXPECT_EQ(*Release(shard_, "", shard_.epoch), shard_);
  Grant();
  EXPECT_EQ(shard_.state.batch_id, before.batch_id);
  EXPECT_EQ(shard_.state.attempts, before.attempts);
  EXPECT_EQ(shard_.state.lost_deliveries, before.lost_deliveries);
}

void SimulatedShard::NotRun() {
  const ShardState before = shard_.state;
  Report(lowmark::NotRun{});
  EXPECT_EQ(shard_.state.batch_id, before.batch_id);
  EXPECT_EQ(shard_.state.attempts, before.attempts);
  EXPECT_EQ(shard_.state.lost_deliveries, before.lost_deliveries);
}

void SimulatedShard::SetAside(int count) {
  Report(lowmark::SetAside{Names(Batch()), count, Condition::kRecordAgeExceeded, "too old"});
}

void SimulatedShard::Seek(int ordinal) {
  auto moved = lowmark::Seek(shard_, Position::At(sequences_[ordinal - 1]), 0, policy_);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->epoch, shard_.epoch + 1);
  shard_ = *moved;
  Grant();
}

std::vector<int> SimulatedShard::Batch() const {
  const Position& start = shard_.state.position;
  std::vector<int> batch;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (!start.Includes(sequences_[i])) continue;
    if (static_cast<int>(batch.size()) == delivery_.max_records) break;
    batch.push_back(static_cast<int>(i) + 1);
    if (sequences_[i] == delivery_.end_sequence) break;
  }
  return batch;
}

void SimulatedShard::Grant() {
  const ShardState before = shard_.state;
  const std::string worker = "worker-" + std::to_string(++worker_);
  auto granted = lowmark::Grant(shard_, worker, 0, policy_, now_, kJitter01);
  ASSERT_TRUE(granted.ok()) << granted.status();
  EXPECT_EQ(granted->shard.epoch, shard_.epoch + 1);
  shard_ = granted->shard;
  Apply(granted->step);
  CheckInvariants(before);
}

void SimulatedShard::Report(const Event& event) {
  const ShardState before = shard_.state;
  auto kind = CheckReport(shard_, shard_.owner, shard_.epoch, delivery_.delivery);
  ASSERT_TRUE(kind.ok()) << kind.status();
  ASSERT_EQ(*kind, ReportKind::kCurrent);
  auto result = Step(shard_.state, policy_, event, now_, kJitter01);
  ASSERT_TRUE(result.ok()) << result.status();
  const int64_t reported = delivery_.delivery;
  Apply(*result);
  CheckInvariants(before);
  if (result->facts.outcome == Outcome::kStarted) {
    EXPECT_EQ(Step(shard_.state, policy_, event, now_, kJitter01)->state, shard_.state);
    return;
  }
  kind = CheckReport(shard_, shard_.owner, shard_.epoch, reported);
  ASSERT_TRUE(kind.ok()) << kind.status();
  EXPECT_EQ(*kind, ReportKind::kRepeated);
}

void SimulatedShard::Apply(const StepResult& result) {
  shard_.state = result.state;
  for (const DeadLetterRange& dead : result.dead_letters) {
    play_.dead_letters.push_back(
        {ordinals_.at(dead.first), ordinals_.at(dead.last), dead.count, dead.attempts});
  }
  delivery_ = CurrentDelivery(shard_.state, policy_, now_);
}

void SimulatedShard::CheckInvariants(const ShardState& before) const {
  const ShardState& after = shard_.state;
  EXPECT_FALSE(MovesBack(before.position, after.position))
      << before.position.ToString() << " -> " << after.position.ToString();
  EXPECT_LE(after.bounds.size(), kMostBounds);
  for (size_t i = 1; i < after.bounds.size(); ++i) {
    EXPECT_GT(CompareNumeric(after.bounds[i - 1], after.bounds[i]), 0);
  }
  if (!after.bounds.empty()) {
    EXPECT_TRUE(after.position.Includes(after.bounds.back()));
  }
  EXPECT_TRUE(after.outstanding);
  EXPECT_LE(after.batch_id, after.delivery);
  EXPECT_LE(after.delivery, before.delivery + 1);
}

Event SimulatedShard::ToEvent(const std::vector<int>& batch, const Answer& answer) const {
  std::vector<std::string> names = Names(batch);
  const bool failed = answer.kind == Answer::Kind::kRaise ||
                      (answer.kind == Answer::Kind::kReport && !answer.failed.empty());
  if (!failed) {
    return Succeeded{names.front(), names.back(), static_cast<int32_t>(names.size()), false};
  }
  Failed event{names, {}, "Error", "it failed"};
  for (int record : answer.failed) {
    event.failed.push_back(record == 0 ? "999999" : sequences_[record - 1]);
  }
  return event;
}

std::vector<std::string> SimulatedShard::Names(const std::vector<int>& batch) const {
  std::vector<std::string> names;
  names.reserve(batch.size());
  for (int record : batch) names.push_back(sequences_[record - 1]);
  return names;
}

std::string SimulatedShard::Checkpoint() const {
  const Position& position = shard_.state.position;
  if (position.kind == Position::Kind::kAt) {
    return "AT " + std::to_string(ordinals_.at(position.sequence));
  }
  if (position.kind == Position::Kind::kAfter) {
    return "AFTER " + std::to_string(ordinals_.at(position.sequence));
  }
  return "";
}

}  // namespace lowmark
