#include "service/pruner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/memory/memory_store.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

class PrunerTest : public testing::Test {
 protected:
  void MakeStreams(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(store_.CreateStream(absl::StrCat("s", i), Policy()).ok());
    }
  }

  // Prunes until `calls` calls were made for events, of which each stream has
  // some that are old.
  void PruneUntil(size_t calls, absl::Duration interval = absl::Hours(1)) {
    Pruner pruner(store_, metrics_, {.operation = "prune", .interval = interval, .batch = 10},
                  [this](const std::string& stream, int32_t most) { return Prune(stream, most); });
    const SteadyTime patience = SteadyDeadline(absl::Minutes(1));
    MutexLock lock(mutex_);
    while (calls_.size() < calls) ASSERT_TRUE(changed_.WaitUntil(mutex_, patience));
  }

  absl::StatusOr<int32_t> Prune(const std::string& stream, int32_t most) {
    MutexLock lock(mutex_);
    calls_.push_back(stream);
    changed_.NotifyAll();
    if (stream == failing_) return Unavailable("down");
    const int32_t pruned = std::min(most, old_[stream]);
    old_[stream] -= pruned;
    return pruned;
  }

  void SetOld(std::map<std::string, int32_t> old) {
    MutexLock lock(mutex_);
    old_ = std::move(old);
  }
  int32_t Old(const std::string& stream) {
    MutexLock lock(mutex_);
    return old_[stream];
  }
  std::deque<std::string> Calls() {
    MutexLock lock(mutex_);
    return calls_;
  }

  MemoryStore store_;
  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  std::string failing_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> calls_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, int32_t> old_ LOWMARK_GUARDED_BY(mutex_);
};

TEST_F(PrunerTest, GoesThroughAllStreamsInBatches) {
  MakeStreams(3);
  SetOld({{"s0", 25}, {"s1", 9}, {"s2", 10}});
  PruneUntil(6);
  EXPECT_THAT(Calls(), ElementsAre("s0", "s0", "s0", "s1", "s2", "s2"));
}

TEST_F(PrunerTest, GoesThroughAllPages) {
  MakeStreams(250);
  PruneUntil(250);
}

TEST_F(PrunerTest, AFailureOfOneStreamLeavesTheOthersAlone) {
  MakeStreams(3);
  SetOld({{"s0", 25}, {"s2", 3}});
  failing_ = "s0";
  PruneUntil(3);
  EXPECT_THAT(Calls(), ElementsAre("s0", "s1", "s2"));
  EXPECT_EQ(Old("s2"), 0);
}

TEST_F(PrunerTest, BeginsAnewAfterTheInterval) {
  MakeStreams(1);
  PruneUntil(3, absl::Milliseconds(1));
}

TEST_F(PrunerTest, EndsInTheMiddle) {
  MakeStreams(1);
  SetOld({{"s0", 2000000000}});
  PruneUntil(1);
  EXPECT_GT(Old("s0"), 0);
}

}  // namespace
}  // namespace lowmark
