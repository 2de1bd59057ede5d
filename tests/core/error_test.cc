#include "service/core/error.h"

#include <gtest/gtest.h>

#include <string>

namespace lowmark {
namespace {

TEST(Error, CarriesItsReason) {
  const absl::Status fenced = Aborted(kLeaseFenced, "epoch 3 is over");
  EXPECT_EQ(fenced.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Reason(fenced), "LEASE_FENCED");
  EXPECT_EQ(fenced.message(), "epoch 3 is over");
  EXPECT_EQ(Reason(StreamNotFound("s")), "STREAM_NOT_FOUND");
  EXPECT_EQ(StreamNotFound("s").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Reason(ShardNotFound("s", "1")), "SHARD_NOT_FOUND");
  EXPECT_EQ(Reason(Unavailable("x")), "UNAVAILABLE");
  EXPECT_EQ(Unavailable("x").code(), absl::StatusCode::kUnavailable);
}

TEST(Error, WithoutReasonHasItsCodesName) {
  EXPECT_EQ(Reason(absl::FailedPreconditionError("x")), "FAILED_PRECONDITION");
  EXPECT_EQ(Reason(absl::OkStatus()), "");
}

TEST(Error, NamesFieldValueAndWhatIsAllowed) {
  const absl::Status status = InvalidField("config.batch_size", 0, "must be 1..10000");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Reason(status), "INVALID_ARGUMENT");
  EXPECT_EQ(status.message(), "config.batch_size is 0: must be 1..10000");
  EXPECT_EQ(InvalidField("stream", "a b", "must match x").message(),
            "stream is \"a b\": must match x");
}

TEST(Error, ADurationMayBeOneOfItsBounds) {
  const auto check = [](absl::Duration value) {
    return CheckDuration("ttl", value, absl::Seconds(1), absl::Minutes(1));
  };
  EXPECT_TRUE(check(absl::Seconds(1)).ok());
  EXPECT_TRUE(check(absl::Minutes(1)).ok());
  EXPECT_EQ(check(absl::Milliseconds(999)).message(), "ttl is \"999ms\": must be 1s..1m");
  EXPECT_FALSE(check(absl::InfiniteDuration()).ok());
}

TEST(Error, ShowsHostileValuesHarmlessly) {
  const std::string hostile("\0\"\n\x1b[31m\xff", 9);
  const absl::Status status = InvalidField("stream", hostile, "must match x");
  for (char c : std::string(status.message())) EXPECT_TRUE(c >= 32 && c < 127);
  const absl::Status large = InvalidField("stream", std::string(1 << 20, 'x'), "must match x");
  EXPECT_LT(large.message().size(), 200u);
  EXPECT_NE(std::string(large.message()).find("..."), std::string::npos);
  for (char c : std::string(StreamNotFound(hostile).message())) EXPECT_TRUE(c >= 32 && c < 127);
}

}  // namespace
}  // namespace lowmark
