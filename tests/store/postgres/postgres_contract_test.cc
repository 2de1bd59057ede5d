// PostgresStore against the contract, logged in as a user with no more than the
// role lowmark_app.
#include "absl/strings/str_cat.h"
#include "store/postgres/postgres_store.h"
#include "tests/store/store_contract.h"
#include "tests/support/test_database.h"

namespace lowmark {
namespace {

class PostgresUnderTest : public StoreUnderTest {
 public:
  PostgresUnderTest() : store_(database_.app_options()) {}
  Store& store() override { return store_; }
  // The database's clock cannot be set: sessions are made older instead.
  void Advance(absl::Duration duration) override {
    const std::string by = absl::StrCat("interval '", absl::ToInt64Milliseconds(duration), " ms'");
    database_.Query(absl::StrCat("UPDATE lowmark.workers SET expires_at = expires_at - ", by,
                                 ", wants_until = wants_until - ", by));
  }

 private:
  TestDatabase database_;
  PostgresStore store_;
};

std::unique_ptr<StoreUnderTest> MakePostgres() { return std::make_unique<PostgresUnderTest>(); }

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, testing::Values(MakePostgres),
                         [](const auto&) { return "Postgres"; });

}  // namespace
}  // namespace lowmark
