// PostgresStore: what workers tell of their shards.
#include <utility>

#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// A statement has so many rows at most: a fleet that loses its source tells of all its
// shards at once.
constexpr int64_t kMostRows = 2000;

// The columns of kTellStats.
class StatRows {
 public:
  void Add(const std::string& worker, const ToldStat& told) {
    const ShardStat& stat = told.stat;
    worker_.Add(worker);
    shard_.Add(told.shard);
    epoch_.AddNumber(told.epoch);
    idle_.AddBool(stat.idle);
    stat.lag_age ? lag_age_.AddNumber(ToMicros(*stat.lag_age)) : lag_age_.AddNull();
    stat.backlog ? backlog_.AddNumber(*stat.backlog) : backlog_.AddNull();
    stat.trouble ? trouble_.AddNumber(static_cast<int64_t>(stat.trouble->kind))
                 : trouble_.AddNull();
    message_.Add(stat.trouble ? stat.trouble->message : "");
    stat.trouble ? lasted_.AddNumber(ToMicros(stat.trouble->lasted)) : lasted_.AddNull();
  }

  int64_t size() const { return shard_.size(); }

  void Write(pqxx::transaction_base& transaction, int64_t stream_id) {
    if (size() == 0) return;
    transaction.exec_params(sql::kTellStats, stream_id, worker_.Finish(), shard_.Finish(),
                            epoch_.Finish(), idle_.Finish(), lag_age_.Finish(), backlog_.Finish(),
                            trouble_.Finish(), message_.Finish(), lasted_.Finish());
  }

 private:
  TextArray worker_, shard_, epoch_, idle_, lag_age_, backlog_, trouble_, message_, lasted_;
};

void WriteListing(pqxx::transaction_base& transaction, int64_t stream_id, const std::string& worker,
                  const ListingStat& listing) {
  const Trouble trouble = listing.trouble.value_or(Trouble());
  const std::string kind = std::to_string(static_cast<int>(trouble.kind));
  transaction.exec_params(sql::kTellListing, stream_id, listing.trouble ? worker : "",
                          listing.trouble ? kind.c_str() : nullptr, trouble.message,
                          ToMicros(trouble.lasted));
}

}  // namespace

int64_t PostgresStore::KeepStats(int64_t stream_id, int64_t token,
                                 const std::vector<const Renewal*>& renewals) {
  int64_t kept = token;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        kept = token;
        if (kept == 0) {
          const pqxx::result rows = transaction.exec_params(sql::kMarkStats, stream_id);
          if (!rows.empty()) kept = ToInt(rows[0][0]);
        }
        StatRows rows;
        for (const Renewal* renewal : renewals) {
          for (const ToldStat& told : renewal->stats) {
            rows.Add(renewal->worker, told);
            if (rows.size() < kMostRows) continue;
            rows.Write(transaction, stream_id);
            rows = StatRows();
          }
        }
        rows.Write(transaction, stream_id);
        for (const Renewal* renewal : renewals) {
          if (!renewal->listing) continue;
          WriteListing(transaction, stream_id, renewal->worker, *renewal->listing);
        }
        return absl::OkStatus();
      });
  return status.ok() ? kept : 0;
}

absl::StatusOr<Workload> PostgresStore::ReadWorkload(const std::string& stream) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  Workload load;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        load = Workload();
        const pqxx::result rows = transaction.exec_params(sql::kSelectStream, stream);
        if (rows.empty()) return StreamNotFound(stream);
        auto read = ReadStream(rows[0]);
        if (!read.ok()) return read.status();
        load.paused = read->policy.paused;
        const pqxx::row row = transaction.exec_params1(sql::kReadWorkload, ToInt(rows[0][5]));
        load.shards = ToInt(row[0]);
        load.with_work = ToInt(row[1]);
        load.unread = ToInt(row[2]);
        load.untaken = ToInt(row[3]);
        load.lag_age = ToDuration(row[4]);
        load.holders = ToInt(row[5]);
        if (!row[6].is_null()) load.holders_age = ToDuration(row[6]);
        if (!row[7].is_null()) load.last_read = ToDuration(row[7]);
        if (!row[8].is_null()) load.newest = ToDuration(row[8]);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return load;
}

absl::StatusOr<std::vector<UnownedShards>> PostgresStore::ListUnowned() {
  std::vector<UnownedShards> all;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        all.clear();
        for (const pqxx::row& row : transaction.exec(sql::kSelectUnowned)) {
          all.push_back({row[0].as<std::string>(), ToInt(row[1])});
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return all;
}

}  // namespace lowmark
