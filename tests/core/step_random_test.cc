// Random shards with long, sparse sequence numbers, under random policies and
// with everything that can befall a shard: failures, lost workers, handovers,
// records set aside, handlers that cannot be run, operators, restarts.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/core/oracle.h"
#include "tests/core/seed.h"
#include "tests/core/simulated_shard.h"

namespace lowmark {
namespace {

using Random = std::mt19937_64;

int Uniform(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

bool OneIn(Random& random, int n) { return Uniform(random, 1, n) == 1; }

// Ascending numbers of 56 to 128 digits, like Kinesis' ones but wilder.
std::vector<std::string> LongSequences(Random& random, int count) {
  std::vector<std::string> sequences;
  for (int i = 0; i < count; ++i) {
    std::string number(1, static_cast<char>('0' + Uniform(random, 1, 9)));
    for (int digits = Uniform(random, 56, 128); digits > 1; --digits) {
      number.push_back(static_cast<char>('0' + Uniform(random, 0, 9)));
    }
    sequences.push_back(number);
  }
  std::sort(sequences.begin(), sequences.end(),
            [](const std::string& a, const std::string& b) { return CompareNumeric(a, b) < 0; });
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  return sequences;
}

Policy RandomPolicy(Random& random) {
  Policy policy;
  policy.batch_size = Uniform(random, 1, 20);
  policy.report_batch_item_failures = !OneIn(random, 3);
  policy.bisect_batch_on_failure = OneIn(random, 2);
  policy.maximum_retry_attempts = Uniform(random, 0, 3);
  policy.discard_scope = OneIn(random, 2) ? DiscardScope::kRecord : DiscardScope::kBatch;
  policy.maximum_lost_deliveries = Uniform(random, 1, 3);
  return policy;
}

// Plain enough to show that the state is all there is: whatever a store keeps
// of these fields brings the shard back.
ShardState Restored(const ShardState& state) {
  std::stringstream text;
  text << static_cast<int>(state.position.kind) << ' ' << state.position.sequence << "; "
       << state.bounds.size();
  for (const std::string& bound : state.bounds) text << ' ' << bound;
  text << ' ' << state.batch_id << ' ' << state.delivery << ' ' << state.attempts << ' '
       << state.lost_deliveries << ' ' << absl::ToUnixNanos(state.not_before) << ' '
       << state.outstanding << ' ' << static_cast<int>(state.cause) << ' '
       << (state.declared ? state.declared->count : 0);
  if (state.declared) {
    text << ' ' << state.declared->first << ' ' << state.declared->middle << ' '
         << state.declared->last;
  }

  ShardState restored;
  int kind = 0;
  int cause = 0;
  size_t bounds = 0;
  int64_t not_before = 0;
  int32_t count = 0;
  text >> kind;
  text.ignore(1);
  std::getline(text, restored.position.sequence, ';');
  text >> bounds;
  restored.bounds.resize(bounds);
  for (std::string& bound : restored.bounds) text >> bound;
  text >> restored.batch_id >> restored.delivery >> restored.attempts >> restored.lost_deliveries >>
      not_before >> restored.outstanding >> cause >> count;
  restored.position.kind = static_cast<Position::Kind>(kind);
  restored.cause = static_cast<Redelivery>(cause);
  restored.not_before = absl::FromUnixNanos(not_before);
  if (count > 0) {
    restored.declared.emplace();
    restored.declared->count = count;
    text >> restored.declared->first >> restored.declared->middle >> restored.declared->last;
  }
  return restored;
}

// Answers at random, the same way to the same question: what it makes of a batch
// depends on its records and on how often it saw them.
class RandomHandler {
 public:
  RandomHandler(uint64_t seed, int one_in) : seed_(seed), one_in_(one_in) {}

  Answer operator()(const std::vector<int>& batch) {
    Random random(seed_ + static_cast<uint64_t>(batch.front()) * 1000003 + batch.size() * 10007 +
                  static_cast<uint64_t>(++seen_[batch]) * 101);
    if (!OneIn(random, one_in_)) return {};
    const int what = Uniform(random, 0, 9);
    if (what < 2) return {Answer::Kind::kDie, {}};
    if (what < 5) return {Answer::Kind::kRaise, {}};
    Answer report{Answer::Kind::kReport, {}};
    for (int n = Uniform(random, 1, 3); n > 0; --n) {
      report.failed.push_back(
          batch[static_cast<size_t>(Uniform(random, 0, static_cast<int>(batch.size()) - 1))]);
    }
    if (what == 9) report.failed.push_back(0);
    return report;
  }

 private:
  const uint64_t seed_;
  const int one_in_;
  std::map<std::vector<int>, int> seen_;
};

TEST(StepRandom, LongShardsAreHandledAsTheOracleSays) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  Random random(seed);
  for (int round = 0; round < 1500; ++round) {
    const Policy policy = RandomPolicy(random);
    const std::vector<std::string> sequences = LongSequences(random, Uniform(random, 1, 60));
    const RandomHandler handler(random(), Uniform(random, 1, 4));
    constexpr int kLimit = 20000;
    const Play seen = SimulatedShard(policy, sequences).Drain(handler, kLimit);
    ASSERT_TRUE(seen.drained) << "seed " << seed << " round " << round;
    ASSERT_EQ(seen, Oracle(policy, static_cast<int>(sequences.size()), handler, kLimit))
        << "seed " << seed << " round " << round;
    ASSERT_FALSE(HasFailure()) << "seed " << seed << " round " << round;
  }
}

// What became of each record, from the deliveries and dead letters of a play.
class Ledger {
 public:
  explicit Ledger(size_t records) : done_(records + 1, false) {}

  // Everything before `checkpoint` must be accounted for.
  void Check(const SimulatedShard& shard, const std::vector<std::string>& sequences) {
    const Play& play = shard.play();
    for (; dead_seen_ < play.dead_letters.size(); ++dead_seen_) {
      const SetAsideRecords& dead = play.dead_letters[dead_seen_];
      EXPECT_EQ(dead.count, dead.last - dead.first + 1);
      for (int record = dead.first; record <= dead.last; ++record) done_[record] = true;
    }
    const Position& checkpoint = shard.shard().state.position;
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (checkpoint.Includes(sequences[i])) break;
      EXPECT_TRUE(done_[i + 1]) << "record " << i + 1 << " was passed";
    }
  }

  void Processed(int record) { done_[record] = true; }

 private:
  std::vector<bool> done_;
  size_t dead_seen_ = 0;
};

// The records that an answer says were processed: those before the lowest failed
// one.
void Account(const Policy& policy, const std::vector<int>& batch, const Answer& answer,
             Ledger& ledger) {
  if (answer.kind == Answer::Kind::kDie || answer.kind == Answer::Kind::kRaise) return;
  int end = batch.back();
  if (answer.kind == Answer::Kind::kReport && policy.report_batch_item_failures) {
    for (int failed : answer.failed) end = std::min(end, failed - 1);
  }
  for (int record : batch) {
    if (record <= end) ledger.Processed(record);
  }
}

TEST(StepRandom, NoRecordIsPassedWhateverHappens) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  Random random(seed);
  for (int round = 0; round < 1500; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    const Policy policy = RandomPolicy(random);
    const std::vector<std::string> sequences = LongSequences(random, Uniform(random, 1, 40));
    RandomHandler script(random(), Uniform(random, 1, 4));
    SimulatedShard shard(policy, sequences);
    Ledger ledger(sequences.size());
    int trouble = Uniform(random, 0, 60);  // beyond the handler's; then it must drain
    int seeks = 3;
    for (int steps = 0; !shard.Drained(); ++steps) {
      ASSERT_LT(steps, 5000) << "does not drain";
      shard.SetState(Restored(shard.shard().state));
      if (trouble > 0 && OneIn(random, 3)) {
        --trouble;
        const int size = static_cast<int>(shard.Batch().size());
        switch (Uniform(random, 0, 4)) {
          case 0:
            shard.LoseWorker();
            break;
          case 1:
            shard.HandOver();
            break;
          case 2:
            shard.NotRun();
            break;
          case 3:
            if (size > 0) shard.SetAside(Uniform(random, 1, size));
            break;
          case 4:
            // Back only: a seek forward passes records by the operator's will.
            if (seeks-- > 0 && size > 0) shard.Seek(Uniform(random, 1, shard.Batch().front()));
            break;
        }
      } else if (shard.Batch().empty()) {
        FAIL() << "nothing to deliver, and not drained";
      } else {
        shard.Deliver([&](const std::vector<int>& batch) {
          Answer answer = script(batch);
          Account(policy, batch, answer, ledger);
          return answer;
        });
      }
      ledger.Check(shard, sequences);
      ASSERT_FALSE(HasFailure());
    }
  }
}

// A state that went through its plain form must be the same in every respect.
TEST(StepRandom, TheRestoredStateIsTheState) {
  ShardState state;
  state.position = Position::At("12");
  state.bounds = {"20", "15"};
  state.batch_id = 3;
  state.delivery = 5;
  state.attempts = 1;
  state.lost_deliveries = 2;
  state.not_before = absl::FromUnixNanos(1234567890123456789);
  state.outstanding = true;
  state.cause = Redelivery::kLost;
  state.declared = DeclaredBatch{"12", "13", "15", 3};
  EXPECT_EQ(Restored(state), state);
  EXPECT_EQ(Restored(ShardState{}), ShardState{});
}

}  // namespace
}  // namespace lowmark
