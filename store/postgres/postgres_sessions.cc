// PostgresStore: sessions, and what operators see and say of them.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/leasing.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/sessions.h"
#include "store/postgres/stream_id.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

absl::Status CheckNames(const std::string& stream, const std::string& worker) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  return CheckText("worker", worker);
}

double ToDouble(const pqxx::field& field) { return std::strtod(field.c_str(), nullptr); }

// NULL where nothing was measured.
void AddLoads(const Renewal& renewal, TextArray& array) {
  if (!renewal.measured) {
    array.AddNull();
    return;
  }
  nlohmann::json loads = nlohmann::json::object();
  for (const ShardLoad& each : renewal.loads) {
    loads[each.shard] = each.load ? nlohmann::json(*each.load) : nlohmann::json();
  }
  array.Add(loads.dump());
}

bool ToBool(const pqxx::field& field) { return *field.c_str() == 't'; }

// Whether a row of WORKER_COLUMNS is of a worker that counts: not ended, not expired.
bool IsLive(const pqxx::row& row) { return !ToBool(row[7]) && ToBool(row[10]); }

// A row of kSelectWorkers or kChangeWorker.
WorkerRecord ReadWorkerNow(const pqxx::row& row) {
  WorkerRecord record = ReadWorker(row);
  record.now = ToTime(row[12]);
  return record;
}

const char* ToParameter(const std::optional<bool>& value) {
  return value ? (*value ? "true" : "false") : nullptr;
}

}  // namespace

absl::Status SessionExpired(const std::string& worker) {
  return Aborted(kSessionExpired, absl::StrCat("worker ", worker, " has no session"));
}

WorkerRecord ReadWorker(const pqxx::row& row) {
  WorkerRecord record;
  record.load.worker = row[0].as<std::string>();
  record.load.capacity = static_cast<int32_t>(ToInt(row[1]));
  record.load.held = ToInt(row[2]);
  record.load.wanted = ToInt(row[3]);
  record.load.proven = ToBool(row[4]);
  record.load.cordoned = ToBool(row[5]);
  record.load.draining = ToBool(row[6]);
  record.load.load = ToDouble(row[11]);
  record.ended = ToBool(row[7]);
  record.opened = ToTime(row[8]);
  record.expires = ToTime(row[9]);
  return record;
}

FleetRead ReadFleet(const pqxx::result& rows, const Policy& policy) {
  FleetRead fleet;
  Census& census = fleet.census;
  SetPolicy(policy, census);
  absl::Duration age = -absl::InfiniteDuration();
  for (const pqxx::row& row : rows) {
    fleet.free = ToInt(row[12]);
    if (row[0].is_null()) continue;  // no worker at all
    census.shards += ToInt(row[2]);
    if (!IsLive(row)) continue;
    census.workers.push_back(ReadWorker(row).load);
    age = std::max(age, absl::Seconds(ToDouble(row[13])));
  }
  census.age = age;
  census.shards += fleet.free;
  return fleet;
}

absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> PostgresStore::RenewSessions(
    const std::string& stream, const std::vector<Renewal>& renewals, absl::Duration ttl) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  TextArray workers, loads;
  for (const Renewal& renewal : renewals) {
    if (!CheckRenewal(renewal).ok()) continue;
    workers.Add(renewal.worker);
    AddLoads(renewal, loads);
  }
  workers.Finish();
  loads.Finish();
  std::unordered_map<std::string, bool> renewed;  // whether it is elected
  int64_t stream_id = 0;
  int64_t token = 0;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        renewed.clear();
        const pqxx::result rows = transaction.exec_params(
            sql::kRenewSessions, stream, workers.Finish(), ToMicros(ttl), loads.Finish());
        if (rows.empty()) return StreamNotFound(stream);
        stream_id = ToInt(rows[0][3]);
        token = rows[0][4].is_null() ? 0 : ToInt(rows[0][4]);
        for (const pqxx::row& row : rows) {
          if (row[0].is_null()) continue;
          renewed[row[0].as<std::string>()] = ToInt(row[1]) <= ToInt(row[2]);
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  std::vector<const Renewal*> telling;
  for (const Renewal& renewal : renewals) {
    const bool tells = !renewal.stats.empty() || renewal.listing;
    if (tells && renewed.contains(renewal.worker)) telling.push_back(&renewal);
  }
  // The sessions live, whatever becomes of this.
  if (!telling.empty()) token = KeepStats(stream_id, token, telling);
  std::vector<absl::StatusOr<SessionView>> views;
  for (const Renewal& renewal : renewals) {
    auto found = renewed.find(renewal.worker);
    if (found != renewed.end()) {
      views.emplace_back(SessionView{found->second, token});
      continue;
    }
    const absl::Status checked = CheckRenewal(renewal);
    views.emplace_back(checked.ok() ? SessionExpired(renewal.worker) : checked);
  }
  return views;
}

absl::Status PostgresStore::CheckSession(const std::string& stream, const std::string& worker) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  return pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
    const pqxx::result rows = transaction.exec_params(sql::kSelectSession, stream, worker);
    if (rows.empty()) return StreamNotFound(stream);
    return ToBool(rows[0][0]) ? absl::OkStatus() : SessionExpired(worker);
  });
}

absl::StatusOr<Census> PostgresStore::ReadCensus(const std::string& stream) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  Census census;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        const pqxx::result rows = transaction.exec_params(sql::kSelectStream, stream);
        if (rows.empty()) return StreamNotFound(stream);
        auto read = ReadStream(rows[0]);
        if (!read.ok()) return read.status();
        census =
            ReadFleet(transaction.exec_params(sql::kReadCensus, ToInt(rows[0][5])), read->policy)
                .census;
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return census;
}

absl::StatusOr<Holdings> PostgresStore::ListHeld(const std::string& stream,
                                                 const std::string& worker) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  Holdings held;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        held = Holdings();
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        for (const pqxx::row& row : transaction.exec_params(sql::kSelectHeld, *id, worker)) {
          held.shards.push_back(
              {row[0].as<std::string>(), ToInt(row[1]), ToTime(row[2]), ToDouble(row[4])});
          held.now = ToTime(row[3]);
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return held;
}

absl::StatusOr<std::vector<WorkerRecord>> PostgresStore::ListWorkers(const std::string& stream,
                                                                     const std::string& after,
                                                                     int32_t limit) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  if (auto s = CheckText("after", after); !s.ok()) return s;
  std::vector<WorkerRecord> workers;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        workers.clear();
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        for (const pqxx::row& row :
             transaction.exec_params(sql::kSelectWorkers, *id, after, limit)) {
          workers.push_back(ReadWorkerNow(row));
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return workers;
}

absl::StatusOr<WorkerRecord> PostgresStore::ChangeWorker(const std::string& stream,
                                                         const std::string& worker,
                                                         const WorkerChange& change) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  WorkerRecord record;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        const pqxx::result rows =
            transaction.exec_params(sql::kChangeWorker, *id, worker, ToParameter(change.cordoned),
                                    ToParameter(change.draining));
        if (rows.empty()) return WorkerNotFound(stream, worker);
        record = ReadWorkerNow(rows[0]);
        // What it may hold has changed, and with it what others may.
        transaction.exec_params(sql::kNotifyFree, stream);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return record;
}

}  // namespace lowmark
