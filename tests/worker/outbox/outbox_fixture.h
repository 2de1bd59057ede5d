// An outbox table as docs/outbox.md has it, and transactions that write to it.
#ifndef LOWMARK_TESTS_WORKER_OUTBOX_OUTBOX_FIXTURE_H_
#define LOWMARK_TESTS_WORKER_OUTBOX_OUTBOX_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/postgres/connection_pool.h"
#include "tests/support/test_database.h"
#include "worker/source/postgres/outbox_source.h"

namespace lowmark {

inline constexpr char kOutboxTable[] =
    "CREATE TABLE outbox (mark bigint NOT NULL DEFAULT greatest("
    "pg_current_xact_id()::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - "
    "1), id bigint GENERATED ALWAYS AS IDENTITY, key text NOT NULL, data jsonb NOT NULL, "
    "created_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (mark, id));"
    "CREATE INDEX ON outbox (mod(hashtextextended(key, 0) & 9223372036854775807, 4), mark, id)";

// A session of its own, with one transaction at a time.
class OutboxWriter {
 public:
  explicit OutboxWriter(const TestDatabase& database) {
    PostgresOptions options = database.options();
    options.idle_in_transaction_timeout = absl::Minutes(10);
    auto connection = Connection::Open(options, ConnectionKind::kPooled);
    EXPECT_TRUE(connection.ok()) << connection.status();
    connection_ = *std::move(connection);
  }

  bool running() const { return transaction_ != nullptr; }
  void Begin() { transaction_ = std::make_unique<pqxx::work>(connection_->get()); }
  // Returns the row's id.
  int64_t Insert(const std::string& key, const std::string& data) {
    return transaction_
        ->exec_params("INSERT INTO outbox (key, data) VALUES ($1, $2) RETURNING id", key,
                      data)[0][0]
        .as<int64_t>();
  }
  void Run(const std::string& sql) { transaction_->exec(sql); }
  void Commit() {
    transaction_->commit();
    transaction_.reset();
  }
  void Abort() {
    transaction_->abort();
    transaction_.reset();
  }

 private:
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<pqxx::work> transaction_;
};

class OutboxTest : public testing::Test {
 protected:
  OutboxTest() {
    database_.Query(kOutboxTable);
    options_.url = database_.options().connection;
    options_.shards = 1;
  }

  std::shared_ptr<OutboxSource> Make() const {
    auto source = OutboxSource::Create(options_);
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *source : nullptr;
  }
  std::unique_ptr<ShardReader> Open(const Position& from = Position::TrimHorizon(),
                                    const std::string& shard = "0-of-1") const {
    auto reader = Make()->Open(shard, from);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return reader.ok() ? *std::move(reader) : nullptr;
  }
  static ReadResult Read(ShardReader& reader, int records = 1000, const std::string& end = "",
                         int64_t bytes = int64_t{1} << 30) {
    auto result = reader.Read({records, bytes, end});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ReadResult();
  }
  static std::vector<std::string> Data(const ReadResult& result) {
    std::vector<std::string> data;
    for (const SourceRecord& record : result.records) data.push_back(record.record.data);
    return data;
  }
  static absl::Status Error(ShardReader& reader) {
    return reader.Read({1000, 1 << 20, ""}).status();
  }

  // In a transaction of its own.
  void Insert(const std::string& key, const std::string& data) const {
    database_.Query(
        absl::StrCat("INSERT INTO outbox (key, data) VALUES ('", key, "', '", data, "')"));
  }

  TestDatabase database_{TestDatabase::Schema::kNone};
  OutboxSourceOptions options_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_OUTBOX_OUTBOX_FIXTURE_H_
