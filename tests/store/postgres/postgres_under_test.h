// A PostgresStore as the contract's suite wants it.
#ifndef LOWMARK_TESTS_STORE_POSTGRES_POSTGRES_UNDER_TEST_H_
#define LOWMARK_TESTS_STORE_POSTGRES_POSTGRES_UNDER_TEST_H_

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/postgres/postgres_store.h"
#include "tests/store/outbox_contract.h"
#include "tests/support/test_database.h"

namespace lowmark {

class PostgresUnderTest : public StoreUnderTest {
 public:
  // Logged in as a user with no more than the role lowmark_app.
  PostgresUnderTest() : store_(database_.app_options()) {}
  // The same by way of a pooler, in the directory of its socket.
  explicit PostgresUnderTest(const std::string& pooler)
      : store_(Through(pooler, database_.app_options())) {}

  static PostgresOptions Through(const std::string& pooler, PostgresOptions options) {
    options.listen_connection = options.connection;
    options.connection += absl::StrCat(" host=", pooler);  // the last one counts
    return options;
  }

  Store& store() override { return store_; }
  // The database's clock cannot be set: sessions and claims are made older instead.
  void Advance(absl::Duration duration) override {
    const std::string by = absl::StrCat("interval '", absl::ToInt64Milliseconds(duration), " ms'");
    database_.Query(absl::StrCat("UPDATE lowmark.workers SET expires_at = expires_at - ", by,
                                 ", wants_until = wants_until - ", by, ", opened_at = opened_at - ",
                                 by));
    database_.Query(
        absl::StrCat("UPDATE lowmark.dead_letter_forwards SET next_try = next_try - ", by));
  }
  // The timeline cannot be raised: epochs are lowered instead, past the guard.
  void FailOver() override {
    database_.Query(
        "BEGIN; SET LOCAL session_replication_role = replica; "
        "UPDATE lowmark.shards SET epoch = epoch - (1::bigint << 40) + 1 WHERE epoch > 0; COMMIT");
  }

  void LoseStats() override { database_.Query("TRUNCATE lowmark.shard_stats"); }

 private:
  TestDatabase database_;
  PostgresStore store_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_STORE_POSTGRES_POSTGRES_UNDER_TEST_H_
