#include "tests/integration/store_under_test.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "store/memory/memory_store.h"
#include "store/postgres/postgres_store.h"
#include "tests/integration/dump.h"
#include "tests/support/test_database.h"

namespace lowmark {
namespace {

class OpenMemory : public OpenStore {
 public:
  Store& store() override { return store_; }
  std::string Dump() override { return lowmark::Dump(store_); }

 private:
  MemoryStore store_;
};

class OpenPostgres : public OpenStore {
 public:
  OpenPostgres() : store_(database_.options()) {}

  Store& store() override { return store_; }

  // Every row of every table, whatever the store shows of it.
  std::string Dump() override {
    const std::string tables = database_.Query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'lowmark' "
        "AND table_type = 'BASE TABLE' ORDER BY 1");
    std::string dump;
    for (absl::string_view table : absl::StrSplit(tables, '\n', absl::SkipEmpty())) {
      absl::StrAppend(&dump, table, ":\n",
                      database_.Query(absl::StrCat("SELECT t::text FROM lowmark.", table,
                                                   " t ORDER BY t::text")),
                      "\n");
    }
    return dump;
  }

 private:
  TestDatabase database_;
  PostgresStore store_;
};

}  // namespace

StoreKind MemoryKind() {
  return {"Memory", [] { return std::unique_ptr<OpenStore>(std::make_unique<OpenMemory>()); }};
}

StoreKind PostgresKind() {
  return {"Postgres", [] { return std::unique_ptr<OpenStore>(std::make_unique<OpenPostgres>()); }};
}

}  // namespace lowmark
