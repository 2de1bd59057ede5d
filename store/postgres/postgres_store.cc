// The store itself, and streams. Shards, leases and dead letters are in files of
// their own.
#include "store/postgres/postgres_store.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/listener.h"
#include "store/postgres/migrations.h"
#include "store/postgres/policy_json.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// Policies that are remembered at most; all are forgotten when there are more.
constexpr size_t kMostPolicies = 1000;

// Random, so that none comes back: not after the stream was deleted, nor after a
// failover that lost the update it stood for. Made here rather than by the
// database, so that a call whose outcome is unknown knows its own again.
std::string NewEtag() {
  static thread_local std::random_device random;
  return absl::StrFormat("%08x%08x%08x", random(), random(), random());
}

absl::Status EtagMismatch(const std::string& name) {
  return Aborted(kEtagMismatch, absl::StrCat("stream ", name, " has changed"));
}

}  // namespace

PostgresStore::PostgresStore(const PostgresOptions& options, bool closed)
    : options_(options), pool_(std::make_unique<ConnectionPool>(options, closed)) {}

PostgresStore::~PostgresStore() = default;

void PostgresStore::Open() { pool_->Open(); }

void PostgresStore::Close() { pool_->Close(); }

absl::Status PostgresStore::Check() {
  return pool_->Run(Mode::kStatement, [](pqxx::transaction_base& transaction) {
    const pqxx::row row = transaction.exec1(sql::kCheckWritable);
    if (*row[0].c_str() != 't') return Unavailable("PostgreSQL is read-only");
    const int64_t wanted = Migrations().back().version;
    // A newer one is that of a coordinator that takes over: this one serves until it does.
    if (ToInt(row[1]) >= wanted) return absl::OkStatus();
    return Unavailable(absl::StrCat("the database has schema version ", ToInt(row[1]),
                                    ", this program needs ", wanted));
  });
}

void PostgresStore::WatchFreeShards(std::function<void(const std::string& stream)> on_free) {
  if (options_.listen) listener_ = std::make_unique<Listener>(options_, std::move(on_free));
}

bool PostgresStore::WatchesFreeShards() const {
  return listener_ != nullptr && listener_->listening();
}

std::shared_ptr<const PostgresStore::KnownPolicy> PostgresStore::RecallPolicy(
    const std::string& stream) {
  static const auto& none = *new std::shared_ptr<const KnownPolicy>(new KnownPolicy());
  MutexLock lock(mutex_);
  auto found = policies_.find(stream);
  return found == policies_.end() ? none : found->second;
}

absl::StatusOr<std::shared_ptr<const PostgresStore::KnownPolicy>> PostgresStore::LearnPolicy(
    const std::string& stream, const std::string& etag, const std::string& policy,
    const std::shared_ptr<const KnownPolicy>& recalled) {
  if (policy.empty()) return recalled;
  auto parsed = PolicyFromJson(policy);
  if (!parsed.ok()) return parsed.status();
  auto known = std::make_shared<const KnownPolicy>(KnownPolicy{etag, *std::move(parsed)});
  MutexLock lock(mutex_);
  if (policies_.size() >= kMostPolicies) policies_.clear();
  policies_[stream] = known;
  return known;
}

// --- Streams ---------------------------------------------------------------

absl::StatusOr<Stream> PostgresStore::CreateStream(const std::string& name, const Policy& policy) {
  if (auto s = CheckText("stream", name); !s.ok()) return s;
  const std::string etag = NewEtag();
  absl::StatusOr<Stream> created = absl::InternalError("not run");
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        transaction.exec_params(sql::kInsertStream, name, PolicyToJson(policy), etag);
        // A statement of its own: another's row may have come just now.
        created = ReadStream(transaction.exec_params1(sql::kSelectStream, name));
        if (!created.ok()) return created.status();
        // One with our own etag is ours, from a try that seemed to have failed.
        if (created->etag == etag) return absl::OkStatus();
        return MakeError(absl::StatusCode::kAlreadyExists, kStreamExists,
                         absl::StrCat("stream \"", name, "\" exists"));
      });
  if (!status.ok()) return status;
  return created;
}

absl::StatusOr<Stream> PostgresStore::GetStream(const std::string& name) {
  if (auto s = CheckText("stream", name); !s.ok()) return s;
  absl::StatusOr<Stream> stream = absl::InternalError("not run");
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        const pqxx::result rows = transaction.exec_params(sql::kShowStream, name);
        if (rows.empty()) return StreamNotFound(name);
        stream = ReadStreamWithTrouble(rows[0]);
        return stream.status();
      });
  if (!status.ok()) return status;
  return stream;
}

absl::StatusOr<std::vector<Stream>> PostgresStore::ListStreams(const std::string& after,
                                                               int32_t limit) {
  if (auto s = CheckText("after", after); !s.ok()) return s;
  std::vector<Stream> streams;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        streams.clear();
        for (const pqxx::row& row : transaction.exec_params(sql::kSelectStreams, after, limit)) {
          auto stream = ReadStreamWithTrouble(row);
          if (!stream.ok()) return stream.status();
          streams.push_back(*std::move(stream));
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return streams;
}

absl::StatusOr<Stream> PostgresStore::UpdateStream(
    const std::string& name, const std::string& etag,
    const std::function<absl::StatusOr<Policy>(const Policy&)>& change) {
  if (auto s = CheckText("stream", name); !s.ok()) return s;
  const std::string new_etag = NewEtag();
  absl::StatusOr<Stream> stream = absl::InternalError("not run");
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        const pqxx::result rows = transaction.exec_params(sql::kLockStream, name);
        if (rows.empty()) return StreamNotFound(name);
        stream = ReadStream(rows[0]);
        if (!stream.ok()) return stream.status();
        if (stream->etag == new_etag) return absl::OkStatus();  // done by a try before
        if (!etag.empty() && etag != stream->etag) return EtagMismatch(name);
        auto policy = change(stream->policy);
        if (!policy.ok()) return policy.status();
        const bool unpaused = stream->policy.paused && !policy->paused;
        stream = ReadStream(
            transaction.exec_params1(sql::kUpdateStream, name, PolicyToJson(*policy), new_etag));
        if (unpaused) transaction.exec_params(sql::kNotifyFree, name);
        return stream.status();
      });
  if (!status.ok()) return status;
  return stream;
}

absl::Status PostgresStore::DeleteStream(const std::string& name, const std::string& etag) {
  if (auto s = CheckText("stream", name); !s.ok()) return s;
  bool tried = false;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        const pqxx::result rows = transaction.exec_params(sql::kLockDoomed, name);
        // A try whose outcome was not known may have been the one.
        if (rows.empty()) return tried ? absl::OkStatus() : StreamNotFound(name);
        if (!etag.empty() && etag != rows[0][0].as<std::string>()) return EtagMismatch(name);
        tried = true;
        transaction.exec_params(sql::kDeleteStream, ToInt(rows[0][1]));
        return absl::OkStatus();
      });
  if (status.ok()) {
    MutexLock lock(mutex_);
    policies_.erase(name);
  }
  return status;
}

}  // namespace lowmark
