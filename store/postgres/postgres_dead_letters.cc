// PostgresStore: dead letters and the audit.
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/stream_id.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// A page of a stream's rows, or of those of one shard: `read` makes a T of each.
template <typename T>
absl::StatusOr<std::vector<T>> ReadPage(ConnectionPool& pool, const std::string& stream,
                                        const std::string& shard, int64_t after_id, int32_t limit,
                                        const char* of_stream, const char* of_shard,
                                        T (*read)(const std::string&, const pqxx::row&)) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  if (auto s = CheckText("shard", shard); !s.ok()) return s;
  std::vector<T> page;
  const absl::Status status =
      pool.Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        page.clear();
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        const pqxx::result rows =
            shard.empty() ? transaction.exec_params(of_stream, *id, after_id, limit)
                          : transaction.exec_params(of_shard, *id, after_id, limit, shard);
        for (const pqxx::row& row : rows) page.push_back(read(stream, row));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return page;
}

}  // namespace

absl::StatusOr<std::vector<DeadLetter>> PostgresStore::ListDeadLetters(const std::string& stream,
                                                                       const std::string& shard,
                                                                       int64_t after_id,
                                                                       int32_t limit) {
  return ReadPage(*pool_, stream, shard, after_id, limit, sql::kSelectDeadLetters,
                  sql::kSelectDeadLettersOf, &ReadDeadLetter);
}

absl::StatusOr<DeadLetter> PostgresStore::GetDeadLetter(const std::string& stream, int64_t id) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  DeadLetter letter;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        auto stream_id = FindStreamId(transaction, stream);
        if (!stream_id.ok()) return stream_id.status();
        const pqxx::result rows = transaction.exec_params(sql::kSelectDeadLetter, *stream_id, id);
        if (rows.empty()) {
          return MakeError(
              absl::StatusCode::kNotFound, kDeadLetterNotFound,
              absl::StrCat("dead letter ", id, " of stream ", stream, " does not exist"));
        }
        letter = ReadDeadLetter(stream, rows[0]);
        for (const pqxx::row& row : transaction.exec_params(sql::kSelectRecords, *stream_id, id)) {
          letter.records.push_back({row[0].as<std::string>(), ParseBytes(row[2].c_str()),
                                    ToTime(row[1]), ParseBytes(row[3].c_str()),
                                    ReadHeaders(row[4])});
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return letter;
}

absl::StatusOr<std::vector<ShardEvent>> PostgresStore::ListEvents(const std::string& stream,
                                                                  const std::string& shard,
                                                                  int64_t after_id, int32_t limit) {
  return ReadPage(*pool_, stream, shard, after_id, limit, sql::kSelectEvents, sql::kSelectEventsOf,
                  &ReadEvent);
}

absl::StatusOr<int32_t> PostgresStore::PruneEvents(const std::string& stream,
                                                   absl::Duration retention, int32_t most) {
  return Prune(sql::kPruneEvents, stream, retention, most);
}

absl::StatusOr<int32_t> PostgresStore::PruneDeadLetters(const std::string& stream,
                                                        absl::Duration retention, int32_t most) {
  return Prune(sql::kPruneDeadLetters, stream, retention, most);
}

absl::StatusOr<int32_t> PostgresStore::Prune(const char* sql, const std::string& stream,
                                             absl::Duration retention, int32_t most) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  int64_t pruned = 0;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        pruned =
            ToInt(transaction.exec_params1(sql, *id, absl::ToInt64Seconds(retention), most)[0]);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return static_cast<int32_t>(pruned);
}

}  // namespace lowmark
