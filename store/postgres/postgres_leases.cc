// PostgresStore: leases and sessions.
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/leasing.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/shard_writer.h"
#include "store/postgres/stream_id.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// Leases that are repeated to a worker at once, as store.h says.
constexpr int64_t kMostRepeated = 1000;

double Jitter() {
  static thread_local std::minstd_rand random{std::random_device()()};
  return std::uniform_real_distribution<>(0, 1)(random);
}

absl::Status SessionExpired(const std::string& worker) {
  return Aborted(kSessionExpired, absl::StrCat("worker ", worker, " has no session"));
}

absl::Status CheckNames(const std::string& stream, const std::string& worker) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  return CheckText("worker", worker);
}

// What kProbe found.
struct Probe {
  int64_t stream_id = 0;
  bool holds_more = false;  // than the worker knows of
  bool any_free = false;
  bool any_expired = false;
  absl::Time now;
};

Census ToCensus(const pqxx::result& rows, bool paused) {
  Census census;
  census.paused = paused;
  for (const pqxx::row& row : rows) {
    if (row[0].is_null()) {
      census.shards = ToInt(row[2]);
      continue;
    }
    census.workers.push_back({row[0].as<std::string>(), static_cast<int32_t>(ToInt(row[1])),
                              ToInt(row[2]), ToInt(row[3])});
  }
  return census;
}

// Ends the stream's expired sessions, but the caller's own, and frees their
// shards.
absl::Status EndExpiredSessions(pqxx::transaction_base& transaction, const LeaseCall& call,
                                int64_t stream_id, const Policy& policy) {
  TextArray ended;
  for (const pqxx::row& row : transaction.exec_params(sql::kEndSessions, stream_id, call.worker)) {
    ended.Add(row[0].c_str());
  }
  if (ended.size() == 0) return absl::OkStatus();
  std::vector<WrittenShard> freed;
  for (const pqxx::row& row :
       transaction.exec_params(sql::kLockLeases, stream_id, ended.Finish())) {
    WrittenShard written{ReadShard(call.stream, row), {}};
    written.change = ExpireLease(written.before);
    if (auto s = CheckChange(written.before, policy, written.change); !s.ok()) return s;
    freed.push_back(std::move(written));
  }
  return WriteShards(transaction, call.stream, stream_id, freed);
}

// Leases up to `count` free shards to the caller.
absl::Status LeaseFree(pqxx::transaction_base& transaction, const LeaseCall& call,
                       int64_t stream_id, int64_t count, LeaseGrant& grant) {
  const pqxx::result rows = transaction.exec_params(sql::kLockFree, stream_id, count);
  const StreamRow stream = ReadStreamRow(rows.back());
  std::vector<WrittenShard> leased;
  for (const pqxx::row& row : rows) {
    if (IsStreamRow(row)) break;
    WrittenShard written{ReadShard(call.stream, row), {}};
    auto lease =
        LeaseTo(written.before, call.worker, stream.timeline, grant.policy, stream.now, Jitter());
    if (!lease.ok()) return lease.status();
    written.change = std::move(lease->change);
    if (auto s = CheckChange(written.before, grant.policy, written.change); !s.ok()) return s;
    lease->lease.shard = written.change.shard;
    grant.leases.push_back(std::move(lease->lease));
    leased.push_back(std::move(written));
  }
  if (leased.empty()) return absl::OkStatus();
  transaction.exec_params(sql::kSetWanted, stream_id, call.worker,
                          call.max_leases - static_cast<int64_t>(leased.size()));
  return WriteShards(transaction, call.stream, stream_id, leased);
}

// Ends what has expired and leases what is due to the caller.
absl::Status Rearrange(pqxx::transaction_base& transaction, const LeaseCall& call,
                       const Probe& probe, LeaseGrant& grant) {
  // One caller at a time takes stock and shares out.
  if (transaction.exec_params(sql::kLockStream, call.stream).empty()) {
    return StreamNotFound(call.stream);
  }
  if (probe.any_expired) {
    auto s = EndExpiredSessions(transaction, call, probe.stream_id, grant.policy);
    if (!s.ok()) return s;
  }
  const Census census =
      ToCensus(transaction.exec_params(sql::kReadCensus, probe.stream_id), grant.policy.paused);
  const int64_t count = LeasesDue(census, call);
  if (count == 0) return absl::OkStatus();
  return LeaseFree(transaction, call, probe.stream_id, count, grant);
}

void RepeatLeases(pqxx::transaction_base& transaction, const LeaseCall& call, const Probe& probe,
                  LeaseGrant& grant) {
  for (const pqxx::row& row :
       transaction.exec_params(sql::kSelectLeases, probe.stream_id, call.worker, kMostRepeated)) {
    grant.leases.push_back(StandingLease(ReadShard(call.stream, row), grant.policy, probe.now));
  }
}

}  // namespace

absl::StatusOr<LeaseGrant> PostgresStore::LeaseShards(const LeaseCall& call) {
  if (auto s = CheckNames(call.stream, call.worker); !s.ok()) return s;
  LeaseGrant grant;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) -> absl::Status {
        grant = LeaseGrant();
        const pqxx::result session = transaction.exec_params(
            sql::kOpenSession, call.stream, call.worker, call.capacity, ToMicros(call.session_ttl),
            call.max_leases, ToMicros(call.wait), call.renew);
        const auto recalled = RecallPolicy(call.stream);
        const pqxx::result rows = transaction.exec_params(sql::kProbe, call.stream, call.worker,
                                                          recalled->etag, call.held);
        if (rows.empty()) return StreamNotFound(call.stream);
        if (session.empty()) return SessionExpired(call.worker);
        const pqxx::row& row = rows[0];
        auto known =
            LearnPolicy(call.stream, row[1].as<std::string>(), row[2].as<std::string>(), recalled);
        if (!known.ok()) return known.status();
        grant.policy = (*known)->policy;
        grant.etag = (*known)->etag;
        grant.elected = *row[6].c_str() == 't';
        const Probe probe{ToInt(row[0]), ToInt(row[3]) > call.held, *row[4].c_str() == 't',
                          *row[5].c_str() == 't', ToTime(row[7])};
        grant.opened = *session[0][0].c_str() == 't';
        if (grant.opened) transaction.exec_params(sql::kPruneSessions, probe.stream_id);
        if (probe.holds_more) {
          RepeatLeases(transaction, call, probe, grant);
          return absl::OkStatus();
        }
        const bool free_to_lease = probe.any_free && !grant.policy.paused;
        if (!free_to_lease && !probe.any_expired) return absl::OkStatus();
        return Rearrange(transaction, call, probe, grant);
      });
  if (!status.ok()) return status;
  return grant;
}

absl::StatusOr<SessionView> PostgresStore::RenewSession(const std::string& stream,
                                                        const std::string& worker,
                                                        absl::Duration ttl) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  SessionView view;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        const pqxx::result rows =
            transaction.exec_params(sql::kRenewSession, stream, worker, ToMicros(ttl));
        if (rows.empty()) return StreamNotFound(stream);
        if (*rows[0][0].c_str() != 't') return SessionExpired(worker);
        view.elected = *rows[0][1].c_str() == 't';
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return view;
}

absl::Status PostgresStore::CheckSession(const std::string& stream, const std::string& worker) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  return pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
    const pqxx::result rows = transaction.exec_params(sql::kSelectSession, stream, worker);
    if (rows.empty()) return StreamNotFound(stream);
    return *rows[0][0].c_str() == 't' ? absl::OkStatus() : SessionExpired(worker);
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
        census = ToCensus(transaction.exec_params(sql::kReadCensus, ToInt(rows[0][5])),
                          read->policy.paused);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return census;
}

absl::StatusOr<std::vector<Shard>> PostgresStore::ListLeases(const std::string& stream,
                                                             const std::string& worker,
                                                             int32_t limit) {
  if (auto s = CheckNames(stream, worker); !s.ok()) return s;
  std::vector<Shard> leases;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        leases.clear();
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        for (const pqxx::row& row :
             transaction.exec_params(sql::kSelectLeases, *id, worker, limit)) {
          leases.push_back(ReadShard(stream, row));
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return leases;
}

}  // namespace lowmark
