#include "worker/source/postgres/outbox_table.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

using Columns = std::map<std::string, OutboxColumn>;

enum class Null { kAllowed, kForbidden };

// The column in quotes.
absl::StatusOr<std::string> Take(const OutboxSourceOptions& options, const Columns& columns,
                                 const std::string& name, const char* flag,
                                 std::initializer_list<const char*> types, Null null) {
  const std::string column = absl::StrCat("column \"", name, "\" of table ", options.table);
  const auto found = columns.find(name);
  if (found == columns.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat(column, " does not exist; name it by --", flag, ", or add it"));
  }
  const std::string& type = found->second.type;
  if (std::none_of(types.begin(), types.end(), [&](const char* each) { return type == each; })) {
    return absl::FailedPreconditionError(
        absl::StrCat(column, " is ", type, ": must be ", absl::StrJoin(types, " or ")));
  }
  if (null == Null::kForbidden && !found->second.not_null) {
    return absl::FailedPreconditionError(
        absl::StrCat(column, " may be NULL, and no shard would have that row: make it NOT NULL"));
  }
  return QuoteName(name);
}

absl::Status CheckName(const char* field, const std::string& name) {
  if (!name.empty() && name.size() < 64 && name.find('\0') == std::string::npos) {
    return absl::OkStatus();
  }
  return InvalidField(field, name, "must be a name of 1..63 bytes");
}

}  // namespace

absl::Status OutboxSourceOptions::Validate() const {
  if (shards < 1 || shards > 1000) return InvalidField("outbox-shards", shards, "must be 1..1000");
  if (connections < 1 || connections > 100) {
    return InvalidField("outbox.connections", connections, "must be 1..100");
  }
  const size_t dot = table.find('.');
  for (const absl::Status& status : {
           CheckName("outbox-table", table.substr(0, dot)),
           dot == std::string::npos ? absl::OkStatus()
                                    : CheckName("outbox-table", table.substr(dot + 1)),
           CheckName("outbox-mark-column", mark_column),
           CheckName("outbox-id-column", id_column),
           CheckName("outbox-key-column", key_column),
           CheckName("outbox-data-column", data_column),
           CheckDuration("outbox.statement_timeout", statement_timeout, absl::Milliseconds(10),
                         absl::Minutes(10)),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string QuoteName(const std::string& name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

std::string QuotedTable(const OutboxSourceOptions& options) {
  const size_t dot = options.table.find('.');
  if (dot == std::string::npos) return QuoteName(options.table);
  return absl::StrCat(QuoteName(options.table.substr(0, dot)), ".",
                      QuoteName(options.table.substr(dot + 1)));
}

absl::StatusOr<OutboxSql> MakeOutboxSql(const OutboxSourceOptions& options,
                                        const Columns& columns) {
  auto mark = Take(options, columns, options.mark_column, "outbox-mark-column", {"bigint"},
                   Null::kForbidden);
  if (!mark.ok()) return mark.status();
  auto id = Take(options, columns, options.id_column, "outbox-id-column", {"bigint", "integer"},
                 Null::kForbidden);
  if (!id.ok()) return id.status();
  auto key = Take(options, columns, options.key_column, "outbox-key-column",
                  {"text", "character varying", "uuid", "bigint", "integer", "smallint"},
                  Null::kForbidden);
  if (!key.ok()) return key.status();
  auto data = Take(options, columns, options.data_column, "outbox-data-column",
                   {"bytea", "text", "character varying", "json", "jsonb"}, Null::kAllowed);
  if (!data.ok()) return data.status();
  OutboxSql sql;
  if (!options.time_column.empty()) {
    auto time = Take(options, columns, options.time_column, "outbox-time-column",
                     {"timestamp with time zone"}, Null::kAllowed);
    if (!time.ok()) return time.status();
    sql.time = *std::move(time);
  } else {
    sql.time = "NULL::timestamptz";
  }
  sql.table = QuotedTable(options);
  sql.mark = *std::move(mark);
  sql.id = *std::move(id);
  sql.key = absl::StrCat(*key, "::text");
  sql.binary = columns.at(options.data_column).type == "bytea";
  sql.data = sql.binary ? *data : absl::StrCat(*data, "::text");
  sql.size = absl::StrCat("coalesce(octet_length(", sql.data, "), 0)");
  return sql;
}

std::string InShard(const OutboxSql& sql, int32_t shard, int32_t shards) {
  if (shards == 1) return "true";
  return absl::StrCat("mod(hashtextextended(", sql.key, ", 0) & 9223372036854775807, ", shards,
                      ") = ", shard);
}

}  // namespace lowmark
