// PostgresStore: rounds of LeaseShard calls.
#include <algorithm>
#include <iterator>
#include <map>
#include <random>
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
#include "store/postgres/shard_writer.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// What a worker does not know of are the leases that it got last: so many of them are
// repeated at once, and more where it lacks more.
constexpr int64_t kLeastRepeated = 1000;
// Shards of workers that ended that are freed in one transaction, and shards that
// are leased in one, at most: so many are locked at a time, and none of them is at work.
constexpr int64_t kShardsAtOnce = 5000;

double Jitter() {
  static thread_local std::minstd_rand random{std::random_device()()};
  return std::uniform_real_distribution<>(0, 1)(random);
}

// What kProbe found.
struct Probe {
  int64_t stream_id = 0;
  bool any_free = false;
  bool any_expired = false;  // whose session is to be ended
  bool any_ended = false;    // whose shards are to be freed
  std::string elected;
  absl::Time look_again = absl::InfiniteFuture();
  absl::Time now;
};

Probe ReadProbe(const pqxx::row& row) {
  Probe probe;
  probe.stream_id = ToInt(row[0]);
  probe.any_free = *row[3].c_str() == 't';
  probe.any_expired = *row[4].c_str() == 't';
  probe.any_ended = *row[5].c_str() == 't';
  if (!row[6].is_null()) probe.elected = row[6].as<std::string>();
  if (!row[7].is_null()) probe.look_again = ToTime(row[7]);
  probe.now = ToTime(row[8]);
  return probe;
}

}  // namespace

// A round on its way: what is known of it so far.
struct PostgresStore::Round {
  const LeaseRound& asked;
  LeaseAnswers& answers;
  Probe probe;
  std::shared_ptr<const KnownPolicy> known;
  // Where the worker's answer is; those whose answer is complete are not here.
  std::unordered_map<std::string, size_t> open;
  std::vector<size_t> opened;
  std::map<size_t, int64_t> hold_more;  // than they know of, and how many more

  LeaseGrant& grant(size_t i) { return *answers.grants[i]; }
  // As SharesOf wants it.
  std::optional<int64_t> Given(size_t i) {
    if (!open.contains(asked.calls[i].worker) || hold_more.contains(i)) return std::nullopt;
    return static_cast<int64_t>(grant(i).leases.size());
  }
};

absl::StatusOr<LeaseAnswers> PostgresStore::LeaseShards(const LeaseRound& round) {
  if (auto s = CheckText("stream", round.stream); !s.ok()) return s;
  LeaseAnswers answers;
  Round state{round, answers, {}, {}, {}, {}, {}};
  for (const LeaseCall& call : round.calls) {
    if (auto s = CheckText("worker", call.worker); s.ok()) {
      state.open[call.worker] = answers.grants.size();
      answers.grants.emplace_back(LeaseGrant());
    } else {
      answers.grants.emplace_back(s);
    }
  }
  for (auto step :
       {&PostgresStore::OpenSessions, &PostgresStore::ProbeStream, &PostgresStore::RepeatLeases,
        &PostgresStore::EndSessions, &PostgresStore::FreeShards, &PostgresStore::LeaseFree,
        &PostgresStore::Withdraw}) {
    if (auto s = (this->*step)(state); !s.ok()) return s;
  }
  answers.now = state.probe.now;
  answers.look_again = state.probe.look_again;
  return answers;
}

absl::Status PostgresStore::OpenSessions(Round& round) {
  TextArray worker, capacity, wanted, wait;
  for (const LeaseCall& call : round.asked.calls) {
    if (!call.renew || !round.open.contains(call.worker)) continue;
    worker.Add(call.worker);
    capacity.AddNumber(call.capacity);
    wanted.AddNumber(call.max_leases);
    wait.AddNumber(ToMicros(call.wait));
  }
  if (worker.size() == 0) return absl::OkStatus();
  pqxx::result rows;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        rows = transaction.exec_params(sql::kOpenSessions, round.asked.stream,
                                       ToMicros(round.asked.session_ttl), worker.Finish(),
                                       capacity.Finish(), wanted.Finish(), wait.Finish());
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  std::unordered_map<std::string, pqxx::row> open;
  for (const pqxx::row& row : rows) open.emplace(row[0].as<std::string>(), row);
  for (const LeaseCall& call : round.asked.calls) {
    auto found = round.open.find(call.worker);
    if (!call.renew || found == round.open.end()) continue;
    const size_t i = found->second;
    auto session = open.find(call.worker);
    if (session == open.end()) {
      round.answers.grants[i] = SessionExpired(call.worker);
      round.open.erase(found);
      continue;
    }
    round.grant(i).opened = *session->second[1].c_str() == 't';
    if (round.grant(i).opened) round.opened.push_back(i);
    const int64_t lacking = ToInt(session->second[2]) - call.held;
    if (lacking > 0) round.hold_more[i] = lacking;
  }
  return absl::OkStatus();
}

absl::Status PostgresStore::ProbeStream(Round& round) {
  const std::string& stream = round.asked.stream;
  return pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) -> absl::Status {
    const auto recalled = RecallPolicy(stream);
    const pqxx::result rows = transaction.exec_params(sql::kProbe, stream, recalled->etag);
    if (rows.empty()) return StreamNotFound(stream);
    const pqxx::row& row = rows[0];
    auto known = LearnPolicy(stream, row[1].as<std::string>(), row[2].as<std::string>(), recalled);
    if (!known.ok()) return known.status();
    round.known = *known;
    round.probe = ReadProbe(row);
    for (const auto& [worker, i] : round.open) {
      LeaseGrant& grant = round.grant(i);
      grant.policy = (*known)->policy;
      grant.etag = (*known)->etag;
      grant.elected = worker == round.probe.elected;
    }
    if (!round.opened.empty()) {
      transaction.exec_params(sql::kPruneSessions, round.probe.stream_id);
    }
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::RepeatLeases(Round& round) {
  for (const auto& [i, lacking] : std::exchange(round.hold_more, {})) {
    const std::string& worker = round.asked.calls[i].worker;
    const int64_t limit = std::max(kLeastRepeated, lacking);
    pqxx::result rows;
    const absl::Status status =
        pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
          rows = transaction.exec_params(sql::kSelectLeases, round.probe.stream_id, worker, limit);
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    LeaseGrant& grant = round.grant(i);
    grant.leases.clear();
    std::vector<Shard> from_before;
    for (const pqxx::row& row : rows) {
      Shard shard = ReadShard(round.asked.stream, row);
      if (IsFromBefore(shard.epoch, ToInt(row["timeline"]))) {
        from_before.push_back(std::move(shard));
      } else {
        grant.leases.push_back(StandingLease(shard, round.known->policy, round.probe.now));
      }
    }
    if (auto s = EndLeasesFromBefore(round, worker, from_before); !s.ok()) return s;
    if (grant.leases.empty()) continue;
    std::sort(grant.leases.begin(), grant.leases.end(),
              [](const auto& a, const auto& b) { return a.shard.shard < b.shard.shard; });
    round.open.erase(worker);
  }
  return absl::OkStatus();
}

absl::Status PostgresStore::EndLeasesFromBefore(Round& round, const std::string& worker,
                                                const std::vector<Shard>& shards) {
  std::vector<ShardUpdate> updates;
  for (const Shard& shard : shards) {
    updates.push_back({shard.shard, [&](const ShardView& view) -> absl::StatusOr<ShardChange> {
                         return EndLeaseFromBefore(view.shard, worker, view.timeline);
                       }});
  }
  for (const absl::Status& status : UpdateShards(round.asked.stream, updates)) {
    if (!status.ok()) return status;
  }
  round.probe.any_free = round.probe.any_free || !shards.empty();
  return absl::OkStatus();
}

absl::Status PostgresStore::EndSessions(Round& round) {
  const Probe& probe = round.probe;
  if (!probe.any_expired || probe.now < round.asked.may_end_from ||
      probe.now > round.asked.may_end_until) {
    return absl::OkStatus();
  }
  round.probe.any_ended = true;
  return pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
    transaction.exec_params(sql::kEndSessions, probe.stream_id);
    return absl::OkStatus();
  });
}

absl::Status PostgresStore::FreeShards(Round& round) {
  for (bool more = round.probe.any_ended; more;) {
    const absl::Status status =
        pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) -> absl::Status {
          const pqxx::result rows =
              transaction.exec_params(sql::kLockEnded, round.probe.stream_id, kShardsAtOnce);
          more = !rows.empty();
          std::vector<WrittenShard> freed;
          for (const pqxx::row& row : rows) {
            WrittenShard written{ReadShard(round.asked.stream, row), {}};
            written.change = ExpireLease(written.before);
            if (auto s = CheckChange(written.before, round.known->policy, written.change); !s.ok())
              return s;
            freed.push_back(std::move(written));
          }
          if (auto s = WriteShards(transaction, round.asked.stream, round.probe.stream_id,
                                   round.known->policy, freed);
              !s.ok()) {
            return s;
          }
          transaction.exec_params(sql::kMarkGone, round.probe.stream_id);
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    round.probe.any_free = round.probe.any_free || more;
  }
  return absl::OkStatus();
}

absl::Status PostgresStore::LeaseFree(Round& round) {
  if (!round.probe.any_free || round.known->policy.paused || round.open.empty()) {
    return absl::OkStatus();
  }
  for (bool more = true; more;) {
    std::vector<std::vector<LeaseGrant::Lease>> leases;
    const absl::Status status =
        pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
          leases.assign(round.asked.calls.size(), {});
          return TryLease(transaction, round, leases, more);
        });
    if (!status.ok()) return status;
    for (size_t i = 0; i < leases.size(); ++i) {
      if (leases[i].empty()) continue;
      auto& all = round.grant(i).leases;
      std::move(leases[i].begin(), leases[i].end(), std::back_inserter(all));
    }
    if (auto s = RepeatLeases(round); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status PostgresStore::TryLease(pqxx::transaction_base& transaction, Round& round,
                                     std::vector<std::vector<LeaseGrant::Lease>>& leases,
                                     bool& more) {
  const int64_t stream_id = round.probe.stream_id;
  // One round at a time takes stock and shares out.
  const pqxx::result locked = transaction.exec_params(sql::kLockStream, round.asked.stream);
  if (locked.empty()) return StreamNotFound(round.asked.stream);
  if (locked[0][2].as<std::string>() != round.known->etag) {
    // It was changed, perhaps paused, since the round began: the next one knows.
    round.probe.look_again = round.probe.now;
    more = false;
    return absl::OkStatus();
  }
  const Policy& policy = round.known->policy;
  const FleetRead fleet = ReadFleet(transaction.exec_params(sql::kReadCensus, stream_id), policy);
  if (const absl::Duration wait = Gathering(fleet.census); wait > absl::ZeroDuration()) {
    round.probe.look_again = std::min(round.probe.look_again, round.probe.now + wait);
    more = false;
    return absl::OkStatus();
  }
  // Where a commit's outcome was unknown, what it leased is a lost answer.
  round.hold_more.clear();
  for (const WorkerLoad& load : fleet.census.workers) {
    auto call = round.open.find(load.worker);
    if (call == round.open.end()) continue;
    const size_t i = call->second;
    const int64_t lacking = load.held - round.asked.calls[i].held - *round.Given(i);
    if (lacking > 0) round.hold_more[i] = lacking;
  }
  const std::vector<Share> shares =
      SharesOf(fleet.census, fleet.free, round.asked, [&](size_t i) { return round.Given(i); });
  int64_t due = 0;
  for (const Share& share : shares) due += share.count;
  more = due > kShardsAtOnce;
  if (due == 0) return absl::OkStatus();
  const pqxx::result rows =
      transaction.exec_params(sql::kLockFree, stream_id, std::min(due, kShardsAtOnce));
  const StreamRow stream = ReadStreamRow(rows.back());
  std::vector<WrittenShard> leased;
  TextArray workers, wanted;
  pqxx::result::size_type next = 0;
  for (const Share& share : shares) {
    const std::string& worker = round.asked.calls[share.call].worker;
    int64_t given = 0;
    for (; given < share.count && next + 1 < rows.size(); ++given, ++next) {
      WrittenShard written{ReadShard(round.asked.stream, rows[next]), {}};
      auto lease = LeaseTo(written.before, worker, stream.timeline, policy, stream.now, Jitter());
      if (!lease.ok()) return lease.status();
      written.change = std::move(lease->change);
      if (auto s = CheckChange(written.before, policy, written.change); !s.ok()) return s;
      lease->lease.shard = written.change.shard;
      leases[share.call].push_back(std::move(lease->lease));
      leased.push_back(std::move(written));
    }
    if (given == 0) break;
    workers.Add(worker);
    wanted.AddNumber(share.wanted - given);
  }
  // Fewer than were counted: others hold them locked, and will hint when they let go.
  if (leased.size() < static_cast<size_t>(std::min(due, kShardsAtOnce))) more = false;
  if (leased.empty()) return absl::OkStatus();
  if (auto s = WriteShards(transaction, round.asked.stream, stream_id, policy, leased); !s.ok())
    return s;
  transaction.exec_params(sql::kSetWanted, stream_id, workers.Finish(), wanted.Finish());
  return absl::OkStatus();
}

absl::Status PostgresStore::Withdraw(Round& round) {
  TextArray workers, wanted;
  const auto add = [&](const std::string& worker) {
    workers.Add(worker);
    wanted.AddNumber(0);
  };
  for (const std::string& worker : round.asked.withdrawn) {
    if (CheckText("worker", worker).ok()) add(worker);
  }
  for (size_t i : round.opened) {
    if (round.grant(i).leases.empty()) add(round.asked.calls[i].worker);
  }
  if (workers.size() == 0) return absl::OkStatus();
  // What was kept for those that are gone is for others, here or elsewhere.
  const bool tell = round.probe.any_free && !round.asked.withdrawn.empty();
  workers.Finish();
  wanted.Finish();
  return pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
    transaction.exec_params(sql::kSetWanted, round.probe.stream_id, workers.Finish(),
                            wanted.Finish());
    if (tell) transaction.exec_params(sql::kNotifyFree, round.asked.stream);
    return absl::OkStatus();
  });
}

}  // namespace lowmark
