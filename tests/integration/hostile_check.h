// How a hostile request is judged.
#ifndef LOWMARK_TESTS_INTEGRATION_HOSTILE_CHECK_H_
#define LOWMARK_TESTS_INTEGRATION_HOSTILE_CHECK_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/hostile_rules.h"
#include "tests/integration/hostile_values.h"
#include "tests/integration/raw_call.h"

namespace lowmark {

inline void ExpectRefused(const absl::Status& status, const HostileRequest& hostile) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(Reason(status), kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(hostile.name));
  // Whatever was sent, the message is one printable line.
  for (const char c : status.message()) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << status;
}

inline Verdict Judge(const HostileRequest& hostile) {
  const auto rule = HostileRules().find(hostile.key);
  if (rule == HostileRules().end()) {
    ADD_FAILURE() << hostile.key << " is a new field: say in hostile_rules.cc what it may hold";
    return Verdict::kEither;
  }
  return rule->second(hostile.probe);
}

inline std::string Trace(const GoodRequest& to, const HostileRequest& hostile) {
  return absl::StrCat(to.name, ": ", hostile.key, " = ", hostile.probe.ToString());
}

// Long polls end soon; everything else ends sooner.
inline absl::Status Send(RunningServer& server, const GoodRequest& to,
                         const google::protobuf::Message& request) {
  const bool waits = to.method->name() == "LeaseShard";
  return RawCall(server.channel(), *to.method, request,
                 waits ? absl::Milliseconds(300) : absl::Seconds(30));
}

// Sends what is made of one good request and must be refused; returns how many
// that were.
inline int SendBadValues(RunningServer& server, const GoodRequest& good) {
  int refused = 0;
  ForEachHostile(*good.request, [&](const HostileRequest& hostile) {
    if (Judge(hostile) != Verdict::kRefused) return;
    SCOPED_TRACE(Trace(good, hostile));
    ExpectRefused(Send(server, good, *hostile.request), hostile);
    ++refused;
  });
  return refused;
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_HOSTILE_CHECK_H_
