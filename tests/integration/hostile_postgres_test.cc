// Bad input on a real PostgreSQL: not one row of one table changes.
#include "tests/integration/hostile_check.h"
#include "tests/integration/store_under_test.h"

namespace lowmark {
namespace {

TEST(HostileInputOnPostgres, BadValuesAreRefusedByNameAndChangeNoRow) {
  const auto open = PostgresKind().open();
  RunningServer server(open->store());
  for (const GoodRequest& good : MakeGoodRequests(server)) {
    const std::string before = open->Dump();
    EXPECT_GT(SendBadValues(server, good), 0) << good.name;
    EXPECT_EQ(open->Dump(), before) << good.name;
  }
}

// Text that the service lets pass must not trip the database either: quotes,
// backslashes, braces, what is beyond ASCII.
TEST(HostileInputOnPostgres, OddValuesThatAreAllowedDoNotTripTheDatabase) {
  const auto open = PostgresKind().open();
  RunningServer server(open->store());
  for (const GoodRequest& good : MakeGoodRequests(server)) {
    if (good.method->name() == "LeaseShard") continue;    // long polls; all numbers
    if (good.method->name() == "DeleteStream") continue;  // what others are about
    ForEachHostile(*good.request, [&](const HostileRequest& hostile) {
      if (Judge(hostile) == Verdict::kRefused) return;
      SCOPED_TRACE(Trace(good, hostile));
      const absl::Status status = Send(server, good, *hostile.request);
      EXPECT_NE(status.code(), absl::StatusCode::kInternal) << status;
      EXPECT_NE(status.code(), absl::StatusCode::kUnknown) << status;
      EXPECT_NE(status.code(), absl::StatusCode::kUnavailable) << status;
    });
  }
}

}  // namespace
}  // namespace lowmark
