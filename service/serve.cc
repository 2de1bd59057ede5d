#include "service/serve.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "service/health.h"
#include "service/on_failure/destinations.h"
#include "service/on_failure/forwarder.h"
#include "service/process/endpoint.h"
#include "service/process/process_metrics.h"
#include "service/process/shutdown.h"
#include "service/process/ticker.h"
#include "service/pruner.h"
#include "store/postgres/migrate.h"
#include "store/postgres/postgres_store.h"

namespace lowmark {
namespace {

constexpr absl::Duration kHealthInterval = absl::Seconds(1);
constexpr absl::Duration kUnownedInterval = absl::Seconds(10);
constexpr absl::Duration kLongestRetention = absl::Hours(24 * 3650);
// For all but groups of reports: leases, heartbeats, operators, dead letters, health.
constexpr int kOtherConnections = 8;
constexpr absl::Duration kFirstRetry = absl::Milliseconds(200);
constexpr absl::Duration kLongestRetry = absl::Seconds(5);

// Why the process is not ready, or OK; read by /readyz.
class Readiness {
 public:
  static absl::Status Unready(absl::string_view why) { return absl::UnavailableError(why); }

  void Set(absl::Status status) {
    MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  absl::Status Get() {
    MutexLock lock(mutex_);
    return status_;
  }

 private:
  Mutex mutex_;
  absl::Status status_ LOWMARK_GUARDED_BY(mutex_) = Unready("starting");
};

// Makes the database ready, waiting for it as long as it takes; CANCELLED when
// told to stop meanwhile. Any error but UNAVAILABLE is final.
absl::Status PrepareDatabase(const ServeOptions& options, Shutdown& shutdown, Readiness& readiness,
                             Logger& log) {
  absl::Duration pause = kFirstRetry;
  for (;;) {
    absl::Status status = absl::OkStatus();
    if (options.migrate) {
      status = Migrate(options.postgres, [&](const std::string& notice) {
        log.Info(notice, {{"part", "migrate"}});
      });
    }
    if (status.ok()) status = CheckDatabase(options.postgres);
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    readiness.Set(Readiness::Unready(absl::StrCat("waiting for PostgreSQL: ", status.message())));
    log.Warning("PostgreSQL cannot be used yet; trying again",
                {{"error", status.message()}, {"retry_in", absl::FormatDuration(pause)}});
    if (shutdown.Wait(pause)) return absl::CancelledError("stopped while waiting for PostgreSQL");
    pause = std::min(pause * 2, kLongestRetry);
  }
}

void NoteHealth(const absl::Status& status, Server& server, Readiness& readiness, Logger& log) {
  server.SetServing(status.ok());
  if (status.ok()) {
    readiness.Set(absl::OkStatus());
    log.Info("ready", {{"grpc", server.address()}});
  } else {
    readiness.Set(Readiness::Unready(absl::StrCat("PostgreSQL: ", status.message())));
    log.Warning("not ready: PostgreSQL cannot be used", {{"error", status.message()}});
  }
}

void NoteDestination(const std::string& stream, const absl::Status& status, Logger& log) {
  if (status.ok()) {
    log.Info("the destination of dead letters takes them again", {{"stream", stream}});
  } else {
    log.Warning("the destination of dead letters takes none; they wait",
                {{"stream", stream}, {"error", status.message()}});
  }
}

// Closes the store where the end has not come in time: a commit that waits for a
// synchronous standby, which may be away, would hold it up for ever.
class Closing {
 public:
  Closing(PostgresStore& store, absl::Duration patience, Logger& log)
      : thread_([this, &store, patience, &log] {
          if (ended_.WaitForNotificationWithTimeout(patience)) return;
          log.Warning("stopping: cancelling what still waits for PostgreSQL", {});
          store.Close();
        }) {}
  ~Closing() {
    ended_.Notify();
    thread_.join();
  }

 private:
  absl::Notification ended_;
  std::thread thread_;
};

void NoteSecrets(const SecretsNews& news, Logger& log) {
  for (const std::string& what : news.replaced) {
    log.Info("replaced while running, from its file", {{"secret", what}});
  }
  for (const absl::Status& wrong : news.wrong) {
    log.Error("a changed file is of no use; what was read before stays",
              {{"error", wrong.message()}});
  }
}

ForwarderOptions ForwardingOf(const ServeOptions& options) {
  ForwarderOptions forwarding;
  forwarding.unavailable.maximum = options.on_failure_longest_pause;
  forwarding.jitter = [] {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(random);
  };
  return forwarding;
}

}  // namespace

absl::Status ServeOptions::Validate() const {
  if (metrics_max_streams < 1 || metrics_max_streams > 10000) {
    return InvalidField("metrics-max-streams", metrics_max_streams, "must be 1..10000");
  }
  for (const absl::Status& status :
       {postgres.Validate(), coordinator.Validate(), server.Validate(),
        CheckDuration("audit-retention", audit_retention, absl::Hours(1), kLongestRetention),
        dead_letter_retention == absl::InfiniteDuration()
            ? absl::OkStatus()
            : CheckDuration("dead-letter-retention", dead_letter_retention, absl::Hours(1),
                            kLongestRetention),
        CheckDuration("on-failure-longest-pause", on_failure_longest_pause, absl::Seconds(1),
                      absl::Hours(1)),
        CheckDuration("drain-delay", drain_delay, absl::ZeroDuration(), absl::Minutes(10)),
        CheckDuration("drain-timeout", drain_timeout, absl::ZeroDuration(), absl::Minutes(10))}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Serve(const ServeOptions& options, Logger& log) {
  Shutdown shutdown;
  Readiness readiness;
  auto registry = std::make_shared<prometheus::Registry>();
  auto endpoint = Endpoint::Start({.listen = options.http_listen,
                                   .metrics = {registry, std::make_shared<ProcessMetrics>()},
                                   .ready = [&readiness] { return readiness.Get(); }});
  if (!endpoint.ok()) return endpoint.status();
  log.Info("serving /metrics, /livez and /readyz", {{"http", (*endpoint)->address()}});

  // Calls are answered from the start, UNAVAILABLE until the database is there.
  Metrics metrics(*registry, static_cast<size_t>(options.metrics_max_streams));
  PostgresOptions postgres = options.postgres;
  postgres.pool_size = options.coordinator.committer.committers + kOtherConnections;
  PostgresStore store(postgres, /*closed=*/true);
  std::optional<Closing> closing;
  Coordinator coordinator(store, metrics, options.coordinator);
  auto server = Server::Start(coordinator, *registry, options.server,
                              [&log](const SecretsNews& news) { NoteSecrets(news, log); });
  if (!server.ok()) return server.status();
  const ServerSecurity& security = options.server.security;
  log.Info("serving gRPC", {{"grpc", (*server)->address()},
                            {"tls", !security.tls_cert.empty()},
                            {"client_certificates", !security.tls_client_ca.empty()},
                            {"tokens", !security.admin_tokens.empty()}});

  const absl::Status prepared = PrepareDatabase(options, shutdown, readiness, log);
  if (prepared.ok()) {
    store.Open();
    const Pruner audit(store, metrics, {.operation = "prune_audit"},
                       [&](const std::string& stream, int32_t most) {
                         return store.PruneEvents(stream, options.audit_retention, most);
                       });
    // One at a time: it may have as much data as a batch.
    std::optional<Pruner> letters;
    if (options.dead_letter_retention < absl::InfiniteDuration()) {
      letters.emplace(store, metrics, PrunerOptions{.operation = "prune_dead_letters", .batch = 1},
                      [&](const std::string& stream, int32_t most) {
                        return store.PruneDeadLetters(stream, options.dead_letter_retention, most);
                      });
    }
    Forwarder forwarder(store, metrics, ForwardingOf(options),
                        Destinations(options.coordinator.destinations),
                        [&log](const std::string& stream, const absl::Status& status) {
                          NoteDestination(stream, status, log);
                        });
    const Ticker unowned(kUnownedInterval, [&] {
      const auto shards = store.ListUnowned();
      metrics.CountStoreError("list_unowned", shards.status());
      if (shards.ok()) metrics.SetUnowned(*shards);
    });
    std::optional<HealthMonitor> health;
    health.emplace(store, kHealthInterval, [&](const absl::Status& status) {
      NoteHealth(status, **server, readiness, log);
    });
    shutdown.Wait();
    closing.emplace(store, options.drain_delay + options.drain_timeout, log);
    log.Info("stopping: finishing calls in flight");
    health.reset();
    (*server)->SetServing(false);
    readiness.Set(Readiness::Unready("stopping"));
    absl::SleepFor(options.drain_delay);
  }
  coordinator.Drain();
  (*server)->Shutdown(options.drain_timeout);
  if (!prepared.ok() && !absl::IsCancelled(prepared)) return prepared;
  log.Info("stopped");
  return absl::OkStatus();
}

}  // namespace lowmark
