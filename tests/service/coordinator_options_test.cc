#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "service/coordinator.h"

namespace lowmark {
namespace {

TEST(CoordinatorOptions, AreCheckedByName) {
  EXPECT_TRUE(CoordinatorOptions().Validate().ok());
  struct Case {
    const char* name;
    void (*spoil)(CoordinatorOptions&);
  };
  using O = CoordinatorOptions;
  for (const Case& c : {
           Case{"session-ttl", [](O& o) { o.session_ttl = absl::Milliseconds(99); }},
           Case{"session-ttl", [](O& o) { o.session_ttl = absl::InfiniteDuration(); }},
           Case{"balance-interval", [](O& o) { o.balance_interval = absl::ZeroDuration(); }},
           Case{"balance-settling", [](O& o) { o.balance_settling = absl::Hours(2); }},
           Case{"balance-moves", [](O& o) { o.balance_moves = 0; }},
           Case{"longest-wait", [](O& o) { o.longest_wait = absl::Minutes(11); }},
           Case{"lease-retry", [](O& o) { o.lease_retry = absl::ZeroDuration(); }},
           Case{"threads", [](O& o) { o.threads = 0; }},
           Case{"committers", [](O& o) { o.committer.committers = 17; }},
           Case{"committer", [](O& o) { o.committer.group_limit = 0; }},
       }) {
    CoordinatorOptions options;
    c.spoil(options);
    const absl::Status status = options.Validate();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(c.name));
  }
}

}  // namespace
}  // namespace lowmark
