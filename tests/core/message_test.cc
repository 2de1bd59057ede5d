#include "service/core/message.h"

#include <gtest/gtest.h>

namespace lowmark {
namespace {

TEST(WithoutNumbers, LeavesOutTimesPositionsAndRequests) {
  EXPECT_EQ(WithoutNumbers("Signature expired: 20261126T181418Z is now earlier than 20261126T18Z"),
            "Signature expired: is now earlier than");
  EXPECT_EQ(WithoutNumbers("request 0f8b-22a1 failed"), "request failed");
  EXPECT_EQ(WithoutNumbers("come to 3573"), WithoutNumbers("come to 3577"));
}

TEST(WithoutNumbers, LeavesStatusesAndNames) {
  EXPECT_NE(WithoutNumbers("HTTP status 503"), WithoutNumbers("HTTP status 404"));
  EXPECT_EQ(WithoutNumbers("no topic orders-v2 at host1:9092"), "no topic orders-v2 at");
  EXPECT_EQ(WithoutNumbers(""), "");
  EXPECT_EQ(WithoutNumbers("a  b "), "a  b ");
}

}  // namespace
}  // namespace lowmark
