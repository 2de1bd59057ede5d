// The contract of store.h as a suite of tests that every store must pass.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, testing::Values(MakeMemory), ...);
//
// in a program that has the store_contract_*.cc files among its sources.
#ifndef LOWMARK_TESTS_STORE_STORE_CONTRACT_H_
#define LOWMARK_TESTS_STORE_STORE_CONTRACT_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/core/error.h"
#include "service/process/mutex.h"
#include "store/store.h"
#include "tests/support/awkward.h"
#include "tests/support/one_call.h"

namespace lowmark {

// An empty store, and what else a test must do to it.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual Store& store() = 0;
  // Lets the time pass, as far as sessions are concerned.
  virtual void Advance(absl::Duration duration) = 0;
  // The leases that there are become those of an earlier timeline of the database.
  virtual void FailOver() = 0;
  // Loses what workers told of their shards, as a crash of the database does.
  virtual void LoseStats() = 0;
};

using MakeStore = std::unique_ptr<StoreUnderTest> (*)();

// Collects the hints of WatchFreeShards. Must outlive the store.
class FreeHints {
 public:
  std::function<void(const std::string&)> Callback();
  void Clear();
  // Whether a hint for the stream, or for any, came in time.
  bool Await(const std::string& stream, absl::Duration timeout = absl::Seconds(20));

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> streams_ LOWMARK_GUARDED_BY(mutex_);
};

// Has a stream "s" for each test, and short words for what tests do with it.
class StoreContract : public testing::TestWithParam<MakeStore> {
 public:
  void SetUp() override;

  Store& store() { return under_test_->store(); }
  void Advance(absl::Duration duration) { under_test_->Advance(duration); }
  void FailOver() { under_test_->FailOver(); }
  void LoseStats() { under_test_->LoseStats(); }

  // A policy whose retries need no patience.
  static Policy TestPolicy();
  // Of the stream "s".
  void SetPaused(bool paused);
  void AddShards(const std::vector<std::string>& shards, const std::string& stream = "s");

  static OneCall Call(const std::string& worker, int32_t max_leases, int32_t held = 0,
                      const std::string& stream = "s");
  // Leases at least one shard.
  LeaseGrant MustLease(const std::string& worker, int32_t max_leases, int32_t held = 0);
  // The live workers of "s".
  std::map<std::string, WorkerLoad> Loads();
  Shard MustGet(const std::string& shard, const std::string& stream = "s");

  // A report as the coordinator makes it: checked, decided, and repeatable.
  static ShardUpdate Report(const std::string& shard, const std::string& worker, int64_t epoch,
                            int64_t delivery, const Event& event);
  static ShardUpdate Report(const LeaseGrant::Lease& lease, const Event& event);
  static ShardUpdate ReleaseOf(const Shard& shard);
  absl::Status Update(ShardUpdate update, const std::string& stream = "s");

 protected:
  FreeHints hints_;  // outlives the store, whose thread calls it
  std::unique_ptr<StoreUnderTest> under_test_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_STORE_STORE_CONTRACT_H_
