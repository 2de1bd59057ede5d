// PostgresStore against the contract.
#include "tests/store/postgres/postgres_under_test.h"

namespace lowmark {
namespace {

std::unique_ptr<StoreUnderTest> MakePostgres() { return std::make_unique<PostgresUnderTest>(); }

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, testing::Values(MakePostgres),
                         [](const auto&) { return "Postgres"; });
INSTANTIATE_TEST_SUITE_P(Postgres, OutboxContract, testing::Values(MakePostgres),
                         [](const auto&) { return "Postgres"; });

}  // namespace
}  // namespace lowmark
