#include "worker/source/postgres/outbox_database.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

constexpr size_t kMaxKeyBytes = size_t{64} << 10;
constexpr int64_t kCountedAtMost = 10000;

// The columns of $1, a table's name in quotes.
constexpr char kColumns[] =
    "SELECT attname, format_type(atttypid, NULL) AS type, attnotnull FROM pg_attribute "
    "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

// Of the snapshot under which the statement reads: the lowest number of a transaction
// that had not ended, and the one after the highest that had. What is to become
// visible later belongs to a transaction with at least the first number.
constexpr char kHorizon[] = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
constexpr char kLimit[] = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

// "(mark, id)"
std::string Place(const OutboxSql& sql) { return absl::StrCat("(", sql.mark, ", ", sql.id, ")"); }

// A row's time since 1970; NULL where it has none that is one.
std::string Micros(const OutboxSql& sql) {
  return absl::StrCat("CASE WHEN isfinite(", sql.time, ") THEN (extract(epoch FROM ", sql.time,
                      ") * 1000000)::bigint END");
}

// The snapshot's horizon and limit, and beside them the page: the first $5 rows from
// the place ($1, $2) up to ($3, $4), cut where their data reach $6 bytes. An index on
// (shard, mark, id) serves the innermost part; data are not touched before the cut.
std::string PageQuery(const OutboxSql& sql, const std::string& in_shard,
                      const OutboxRequest& request) {
  return absl::StrCat(
      "SELECT h.horizon, h.edge, r.* FROM (SELECT ", kHorizon, " AS horizon, ", kLimit,
      " AS edge) h LEFT JOIN LATERAL (SELECT * FROM (SELECT p.*, sum(p.size) OVER (ORDER BY "
      "p.mark, p.id) AS total, count(*) OVER () AS found FROM (SELECT ",
      sql.mark, " AS mark, ", sql.id, " AS id, ", sql.key, " AS key, ", sql.data, " AS data, ",
      sql.size, " AS size, ", Micros(sql), " AS time FROM ", sql.table, " WHERE ", in_shard,
      " AND ", sql.mark, " < h.horizon AND ", Place(sql), request.inclusive ? " >= " : " > ",
      "($1::bigint, $2::bigint) AND ", Place(sql), " <= ($3::bigint, $4::bigint) ORDER BY ",
      sql.mark, ", ", sql.id,
      " LIMIT $5::bigint) p) w WHERE w.total - w.size < $6::bigint) r ON true ORDER BY r.mark, "
      "r.id");
}

SourceRecord ToRecord(const pqxx::row& row, const OutboxSql& sql, const OutboxPlace& place) {
  SourceRecord result;
  Record& record = result.record;
  record.sequence = place.Sequence();
  const pqxx::field data = row["data"];
  if (!data.is_null()) {
    record.data =
        sql.binary ? pqxx::binarystring(data).str() : std::string(data.c_str(), data.size());
  }
  const pqxx::field time = row["time"];
  record.arrival_time = time.is_null() ? absl::Now() : absl::FromUnixMicros(time.as<int64_t>());
  record.partition_key = row["key"].c_str();
  if (record.partition_key.size() > kMaxKeyBytes) {
    result.defect = SourceRecord::Defect::kUnreadable;
    result.problem = absl::StrCat("the key has more than ", kMaxKeyBytes, " bytes");
    record.partition_key.clear();
  }
  return result;
}

constexpr OutboxPlace kLastPlace{INT64_MAX, INT64_MAX};

PostgresOptions ForPool(const OutboxSourceOptions& options) {
  PostgresOptions pool;
  pool.connection = options.url;
  pool.listen = false;
  pool.pool_size = options.connections;
  pool.statement_timeout = options.statement_timeout;
  return pool;
}

}  // namespace

OutboxDatabase::OutboxDatabase(const OutboxSourceOptions& options)
    : options_(options), pool_(ForPool(options)) {}

absl::StatusOr<OutboxSql> OutboxDatabase::Look() {
  std::map<std::string, OutboxColumn> columns;
  std::string database;
  const absl::Status status =
      pool_.Run(ConnectionPool::Mode::kStatement, [&](pqxx::transaction_base& db) {
        columns.clear();
        for (const auto& row : db.exec_params(kColumns, QuotedTable(options_))) {
          columns[row["attname"].c_str()] = {row["type"].c_str(), row["attnotnull"].as<bool>()};
        }
        database = db.conn().dbname();
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  if (columns.empty()) {
    return absl::NotFoundError(absl::StrCat("PostgreSQL has no table ", options_.table,
                                            " in database ", database, " on its search_path"));
  }
  return MakeOutboxSql(options_, columns);
}

absl::Status OutboxDatabase::Check() {
  auto sql = Look();
  MutexLock lock(mutex_);
  if (sql.ok()) {
    sql_ = *sql;
  } else {
    sql_.reset();
  }
  return sql.status();
}

absl::Status OutboxDatabase::Run(const Body& body) {
  std::optional<OutboxSql> sql;
  {
    MutexLock lock(mutex_);
    sql = sql_;
  }
  if (!sql) {
    if (auto s = Check(); !s.ok()) return s;
    MutexLock lock(mutex_);
    sql = sql_;
    if (!sql) return absl::UnavailableError("the outbox table changes");
  }
  const absl::Status status = pool_.Run(ConnectionPool::Mode::kStatement,
                                        [&](pqxx::transaction_base& db) { return body(*sql, db); });
  if (!status.ok()) {
    MutexLock lock(mutex_);
    sql_.reset();
  }
  return status;
}

absl::StatusOr<OutboxPage> OutboxDatabase::ReadPage(const OutboxRequest& request) {
  OutboxPage page;
  const OutboxPlace end = request.end.value_or(kLastPlace);
  const absl::Status status = Run([&](const OutboxSql& sql, pqxx::transaction_base& db) {
    page = {};
    const pqxx::result rows = db.exec_params(
        PageQuery(sql, InShard(sql, request.shard, options_.shards), request), request.from.mark,
        request.from.id, end.mark, end.id, request.max_records, request.max_bytes);
    page.horizon = rows[0]["horizon"].as<int64_t>();
    page.limit = rows[0]["edge"].as<int64_t>();
    // Where there is no row, the page's columns are NULL.
    if (rows[0]["id"].is_null()) return absl::OkStatus();
    for (const auto& row : rows) {
      const OutboxPlace place{row["mark"].as<int64_t>(), row["id"].as<int64_t>()};
      if (place.id < 0 || place.mark < 0) {
        return absl::FailedPreconditionError(
            absl::StrCat("table ", options_.table, " has a row with mark ", place.mark, " and id ",
                         place.id, ", which give no sequence number: must not be negative"));
      }
      page.records.push_back(ToRecord(row, sql, place));
    }
    page.more = rows[0]["found"].as<int64_t>() >= request.max_records ||
                rows[0]["found"].as<int64_t>() > static_cast<int64_t>(rows.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return page;
}

absl::Status OutboxDatabase::CheckOrigin(int32_t shard) {
  return Run([&](const OutboxSql& sql, pqxx::transaction_base& db) {
    const pqxx::result rows = db.exec(
        absl::StrCat("SELECT ", sql.mark, ", ", kLimit, " FROM ", sql.table, " WHERE ",
                     InShard(sql, shard, options_.shards), " AND ", sql.mark, " >= ", kLimit,
                     " ORDER BY ", sql.mark, " DESC, ", sql.id, " DESC LIMIT 1"));
    if (rows.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "table ", options_.table, " has a row with mark ", rows[0][0].c_str(),
        ", but this server has only come to ", rows[0][1].c_str(),
        ": it was written on another one (a restored dump, a copy), and new rows would come before "
        "it; see \"Moving the table\" in docs/outbox.md"));
  });
}

absl::StatusOr<int64_t> OutboxDatabase::Horizon() {
  int64_t horizon = 0;
  const absl::Status status = Run([&](const OutboxSql&, pqxx::transaction_base& db) {
    horizon = db.exec(absl::StrCat("SELECT ", kHorizon))[0][0].as<int64_t>();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return horizon;
}

absl::StatusOr<std::optional<OutboxPlace>> OutboxDatabase::FindTime(int32_t shard,
                                                                    absl::Time time) {
  if (options_.time_column.empty()) {
    return absl::FailedPreconditionError(
        "a shard that starts at a time needs --outbox-time-column");
  }
  std::optional<OutboxPlace> place;
  // What PostgreSQL's times can hold.
  const absl::Time bounded =
      std::clamp(time, absl::FromUnixSeconds(-62135596800), absl::FromUnixSeconds(253402300799));
  const absl::Status status = Run([&](const OutboxSql& sql, pqxx::transaction_base& db) {
    place.reset();
    const pqxx::result rows = db.exec_params(
        absl::StrCat("SELECT ", sql.mark, ", ", sql.id, " FROM ", sql.table, " WHERE ",
                     InShard(sql, shard, options_.shards), " AND ", sql.mark, " < ", kHorizon,
                     " AND ", sql.time,
                     " >= timestamptz 'epoch' + $1::bigint * interval '1 microsecond' ORDER BY ",
                     sql.mark, ", ", sql.id, " LIMIT 1"),
        absl::ToUnixMicros(bounded));
    if (!rows.empty()) {
      place = OutboxPlace{rows[0][0].as<int64_t>(), rows[0][1].as<int64_t>()};
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return place;
}

absl::StatusOr<OutboxRest> OutboxDatabase::CountFrom(const OutboxRequest& request) {
  OutboxRest rest;
  const absl::Status status = Run([&](const OutboxSql& sql, pqxx::transaction_base& db) {
    const std::string rows = absl::StrCat(
        " FROM ", sql.table, " WHERE ", InShard(sql, request.shard, options_.shards), " AND ",
        Place(sql), request.inclusive ? " >= " : " > ", "($1::bigint, $2::bigint)");
    const pqxx::row counted =
        db.exec_params1(absl::StrCat("SELECT (SELECT count(*) FROM (SELECT", rows, " LIMIT ",
                                     kCountedAtMost, ") counted), (SELECT ", Micros(sql), rows,
                                     " ORDER BY ", sql.mark, ", ", sql.id, " LIMIT 1)"),
                        request.from.mark, request.from.id);
    rest.rows = counted[0].as<int64_t>();
    rest.since.reset();
    if (!counted[1].is_null()) rest.since = absl::FromUnixMicros(counted[1].as<int64_t>());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return rest;
}

}  // namespace lowmark
