// Calls that are served together.
#include "absl/strings/str_cat.h"
#include "service/core/assignment.h"
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

TEST_P(StoreContract, ServesTheCallsOfARoundTogether) {
  AddShards({"a", "b", "c", "d", "e"});
  LeaseRound round;
  round.stream = "s";
  round.session_ttl = absl::Minutes(10);
  for (const char* worker : {"z", "x", "y"}) round.calls.push_back(Call(worker, 10));
  auto answers = store().LeaseShards(round);
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->grants.size(), 3u);
  size_t leased = 0;
  for (const auto& grant : answers->grants) {
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_TRUE(grant->opened);
    EXPECT_GE(grant->leases.size(), 1u);
    EXPECT_LE(grant->leases.size(), 2u) << "fair within one";
    leased += grant->leases.size();
  }
  EXPECT_EQ(leased, 5u);
  EXPECT_GT(answers->look_again, answers->now + absl::Minutes(9));
  EXPECT_LE(answers->look_again, answers->now + absl::Minutes(10));
}

TEST_P(StoreContract, ManyShardsAreSharedOutAmongThoseThatStartTogether) {
  std::vector<std::string> shards;
  for (int64_t i = 0; i < kShardsToGatherFor; ++i) shards.push_back(absl::StrCat("s", i));
  AddShards(shards);
  LeaseRound round;
  round.stream = "s";
  round.session_ttl = absl::Minutes(10);
  for (const char* worker : {"a", "b", "c"})
    round.calls.push_back(Call(worker, kShardsToGatherFor));
  auto early = store().LeaseShards(round);
  ASSERT_TRUE(early.ok()) << early.status();
  for (const auto& grant : early->grants) EXPECT_THAT(grant->leases, testing::IsEmpty());
  EXPECT_LE(early->look_again, early->now + kGathering);
  Advance(kGathering);
  auto answers = store().LeaseShards(round);
  ASSERT_TRUE(answers.ok()) << answers.status();
  for (const auto& grant : answers->grants) {
    EXPECT_NEAR(static_cast<double>(grant->leases.size()), kShardsToGatherFor / 3, 1);
  }
}

TEST_P(StoreContract, OneCallersTroubleIsNotItsRounds) {
  AddShards({"a"});
  ASSERT_TRUE(LeaseOne(store(), Call("dead", 1)).ok());
  Advance(absl::Minutes(11));
  MustLease("w", 1);
  LeaseRound round;
  round.stream = "s";
  round.session_ttl = absl::Minutes(10);
  for (const std::string& worker :
       {std::string("dead"), std::string("a\0b", 3), std::string("v")}) {
    round.calls.push_back(Call(worker, 1));
  }
  auto answers = store().LeaseShards(round);
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_EQ(Reason(answers->grants[0].status()), kSessionExpired);
  EXPECT_EQ(Reason(answers->grants[1].status()), kInvalidArgument);
  EXPECT_TRUE(answers->grants[2].ok());
}

}  // namespace
}  // namespace lowmark
