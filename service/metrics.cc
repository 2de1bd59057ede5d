#include "service/metrics.h"

#include <algorithm>
#include <array>
#include <map>

#include "service/core/error.h"

namespace lowmark {
namespace {

using prometheus::BuildCounter;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using prometheus::Registry;

constexpr char kOther[] = "_other";

Family<Counter>& AddCounter(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}

Histogram& AddHistogram(Registry& registry, const char* name, const char* help,
                        Histogram::BucketBoundaries buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

const char* OutcomeLabel(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSuccess:
    case Outcome::kShardEnd:
      return "success";
    case Outcome::kPartial:
      return "partial_failure";
    case Outcome::kRetry:
    case Outcome::kSplit:
    case Outcome::kDiscard:
      return "failure";
    case Outcome::kSetAside:
      return "set_aside";
    case Outcome::kNotRun:
      return "not_run";
    default:
      return nullptr;  // no batch was reported
  }
}

constexpr std::array<const char*, 6> kCauses = {"",        "retry", "split",
                                                "partial", "lost",  "operator"};

constexpr std::array<const char*, 3> kForwardOutcomes = {"forwarded", "unavailable", "refused"};

Family<prometheus::Gauge>& AddGauge(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

const char* ConditionLabel(Condition condition) {
  switch (condition) {
    case Condition::kRetryAttemptsExhausted:
      return "retry_attempts_exhausted";
    case Condition::kRecordAgeExceeded:
      return "record_age_exceeded";
    case Condition::kRecordTooLarge:
      return "record_too_large";
    case Condition::kRecordUnreadable:
      return "record_unreadable";
  }
  return "";
}

}  // namespace

// A stream's counters, looked up once. All of a stream's series exist from the
// first on, at 0, so that rate() and alerts see the first increase.
struct Metrics::StreamMetrics {
  StreamMetrics(Metrics& m, const std::string& stream)
      : success(m.batches_.Add({{"stream", stream}, {"outcome", "success"}})),
        processed(m.processed_.Add({{"stream", stream}})),
        retries(m.retries_.Add({{"stream", stream}})),
        splits(m.splits_.Add({{"stream", stream}})),
        lost(m.lost_.Add({{"stream", stream}})),
        repeated(m.repeated_.Add({{"stream", stream}})),
        leases(m.leases_.Add({{"stream", stream}})),
        waiting_letters(m.waiting_letters_.Add({{"stream", stream}})),
        waiting_age(m.waiting_age_.Add({{"stream", stream}})),
        unowned(m.unowned_.Add({{"stream", stream}})) {
    for (const char* outcome : {"partial_failure", "failure", "set_aside", "not_run"}) {
      batches[outcome] = &m.batches_.Add({{"stream", stream}, {"outcome", outcome}});
    }
    for (int condition = 1; condition <= 4; ++condition) {
      const char* label = ConditionLabel(static_cast<Condition>(condition));
      discarded[condition - 1] = &m.discarded_.Add({{"stream", stream}, {"condition", label}});
    }
    for (size_t cause = 1; cause < kCauses.size(); ++cause) {
      redelivered[cause] = &m.redelivered_.Add({{"stream", stream}, {"cause", kCauses[cause]}});
    }
    for (const char* reason : {kLeaseFenced, kStaleDelivery}) {
      refused[reason] = &m.refused_.Add({{"stream", stream}, {"reason", reason}});
    }
    for (size_t i = 0; i < kForwardOutcomes.size(); ++i) {
      forwards[i] = &m.forwards_.Add({{"stream", stream}, {"outcome", kForwardOutcomes[i]}});
    }
    for (const char* kind : {"graceful", "forced"}) {
      handoffs[kind] = &m.handoffs_.Add({{"stream", stream}, {"kind", kind}});
    }
  }

  Counter& success;
  Counter& processed;
  Counter& retries;
  Counter& splits;
  Counter& lost;
  Counter& repeated;
  Counter& leases;
  prometheus::Gauge& waiting_letters;
  prometheus::Gauge& waiting_age;
  prometheus::Gauge& unowned;
  std::map<std::string, Counter*> batches;
  std::map<std::string, Counter*> refused;
  std::map<std::string, Counter*> handoffs;
  std::array<Counter*, 4> discarded{};
  std::array<Counter*, kCauses.size()> redelivered{};
  std::array<Counter*, kForwardOutcomes.size()> forwards{};
};

Metrics::Metrics(Registry& registry, size_t max_streams)
    : max_streams_(max_streams),
      batches_(AddCounter(registry, "lowmark_batches_total", "Reported batches, by outcome.")),
      processed_(AddCounter(registry, "lowmark_records_processed_total",
                            "Records that the checkpoint passed as processed.")),
      retries_(AddCounter(registry, "lowmark_retries_total",
                          "Decisions to send an identical batch that failed again.")),
      splits_(AddCounter(registry, "lowmark_splits_total", "Failed batches cut in two.")),
      discarded_(AddCounter(registry, "lowmark_records_discarded_total",
                            "Records that became dead letters, by condition.")),
      redelivered_(AddCounter(registry, "lowmark_records_redelivered_total",
                              "Records of reported batches that had been delivered before, by "
                              "cause. A batch that a dead worker held counts as lost even where "
                              "its handler had not begun.")),
      lost_(AddCounter(registry, "lowmark_deliveries_lost_total",
                       "Deliveries whose lease ended before they were reported.")),
      repeated_(AddCounter(registry, "lowmark_reports_repeated_total",
                           "Reports that repeated one already applied: lost answers.")),
      refused_(AddCounter(registry, "lowmark_reports_refused_total",
                          "Reports that came too late, and changed nothing.")),
      leases_(AddCounter(registry, "lowmark_leases_granted_total", "Leases given to workers.")),
      handoffs_(AddCounter(registry, "lowmark_handoffs_total",
                           "Shards given back when asked (graceful), or taken away after "
                           "handoff_timeout (forced).")),
      store_errors_(AddCounter(registry, "lowmark_store_errors_total",
                               "Database operations that failed as a whole.")),
      forwards_(AddCounter(registry, "lowmark_dead_letter_forwards_total",
                           "Dead letters that were tried to be sent to their stream's "
                           "destination: taken, not taken since it takes nothing now, refused.")),
      waiting_letters_(AddGauge(registry, "lowmark_dead_letters_waiting",
                                "Dead letters that wait to be sent to their stream's "
                                "destination, counted up to 10000. Every replica shows all of "
                                "them: take the maximum.")),
      waiting_age_(AddGauge(registry, "lowmark_dead_letters_waiting_age_seconds",
                            "Age of the oldest dead letter that waits to be sent; take the "
                            "maximum here, too.")),
      unowned_(AddGauge(registry, "lowmark_shards_unowned",
                        "Shards that no worker holds, though one could: they stand still. None "
                        "of streams that are paused; take the maximum of the replicas.")),
      refused_calls_(AddCounter(registry, "lowmark_calls_refused_total",
                                "Calls whose caller may not make them, by reason.")),
      refused_secrets_(AddCounter(registry, "lowmark_secrets_refused_total",
                                  "Changed files of certificates or tokens that are of no use.")
                           .Add({})),
      certificate_expiry_(
          AddGauge(registry, "lowmark_certificate_expiry_timestamp_seconds",
                   "With TLS: when the gRPC port's certificate expires, in Unix time.")),
      group_size_(AddHistogram(registry, "lowmark_commit_group_size",
                               "Shard updates committed together.",
                               {1, 2, 4, 8, 16, 32, 64, 128, 256, 512})),
      commit_seconds_(AddHistogram(registry, "lowmark_commit_duration_seconds",
                                   "Time to commit a group.",
                                   {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3})),
      waiting_(prometheus::BuildGauge()
                   .Name("lowmark_lease_waiters")
                   .Help("LeaseShard calls that wait for a free shard.")
                   .Register(registry)
                   .Add({})) {}

Metrics::~Metrics() = default;

Metrics::StreamMetrics& Metrics::For(const std::string& stream) {
  MutexLock lock(mutex_);
  auto found = streams_.find(stream);
  if (found != streams_.end()) return *found->second;
  const std::string name = streams_.size() < max_streams_ ? stream : kOther;
  auto& metrics = streams_[name];
  if (!metrics) metrics = std::make_unique<StreamMetrics>(*this, name);
  return *metrics;
}

void Metrics::CountReport(const std::string& stream, const StepResult& step) {
  const Facts& facts = step.facts;
  const char* outcome = OutcomeLabel(facts.outcome);
  if (outcome == nullptr) return;
  StreamMetrics& metrics = For(stream);
  auto labelled = metrics.batches.find(outcome);
  (labelled == metrics.batches.end() ? metrics.success : *labelled->second).Increment();
  if (facts.processed > 0) metrics.processed.Increment(static_cast<double>(facts.processed));
  if (facts.outcome == Outcome::kRetry) metrics.retries.Increment();
  if (facts.outcome == Outcome::kSplit) metrics.splits.Increment();
  if (facts.redelivered > 0) {
    metrics.redelivered[static_cast<size_t>(facts.cause)]->Increment(
        static_cast<double>(facts.redelivered));
  }
  for (const DeadLetterRange& range : step.dead_letters) {
    metrics.discarded[static_cast<size_t>(range.condition) - 1]->Increment(range.count);
  }
}

void Metrics::CountRepeated(const std::string& stream) { For(stream).repeated.Increment(); }

void Metrics::CountRefused(const std::string& stream, const absl::Status& status) {
  if (status.code() != absl::StatusCode::kAborted) return;
  StreamMetrics& metrics = For(stream);
  auto found = metrics.refused.find(Reason(status));
  if (found != metrics.refused.end()) found->second->Increment();
}

void Metrics::CountRefusedCall(const absl::Status& status) {
  refused_calls_.Add({{"reason", Reason(status)}}).Increment();
}

void Metrics::CountRefusedSecrets() { refused_secrets_.Increment(); }

void Metrics::SetCertificateExpiry(absl::Time time) {
  certificate_expiry_.Add({}).Set(static_cast<double>(absl::ToUnixSeconds(time)));
}

void Metrics::CountLease(const std::string& stream, bool lost, int64_t discarded) {
  StreamMetrics& metrics = For(stream);
  metrics.leases.Increment();
  if (lost) metrics.lost.Increment();
  if (discarded > 0) {
    metrics.discarded[static_cast<size_t>(Condition::kRetryAttemptsExhausted) - 1]->Increment(
        static_cast<double>(discarded));
  }
}

void Metrics::CountHandoff(const std::string& stream, bool forced) {
  For(stream).handoffs.at(forced ? "forced" : "graceful")->Increment();
}

void Metrics::CountCommit(size_t updates, absl::Duration duration) {
  group_size_.Observe(static_cast<double>(updates));
  commit_seconds_.Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::CountStoreError(const std::string& operation, const absl::Status& status) {
  const bool server_side = status.code() == absl::StatusCode::kUnavailable ||
                           status.code() == absl::StatusCode::kInternal;
  if (!server_side) return;
  store_errors_.Add({{"operation", operation}, {"reason", Reason(status)}}).Increment();
}

void Metrics::CountForward(const std::string& stream, const absl::Status& answer) {
  if (absl::IsCancelled(answer)) return;
  const size_t outcome = answer.ok() ? 0 : absl::IsUnavailable(answer) ? 1 : 2;
  For(stream).forwards[outcome]->Increment();
}

void Metrics::SetOutboxes(const std::vector<Outbox>& outboxes) {
  struct Waiting {
    double letters = 0;
    double age = 0;
  };
  std::unordered_map<StreamMetrics*, Waiting> waiting;
  for (const Outbox& outbox : outboxes) {
    Waiting& sum = waiting[&For(outbox.stream)];
    sum.letters += static_cast<double>(outbox.waiting);
    sum.age = std::max(sum.age, absl::ToDoubleSeconds(outbox.now - outbox.oldest));
  }
  MutexLock lock(mutex_);
  for (const auto& [stream, metrics] : streams_) {
    const Waiting sum = waiting[metrics.get()];
    metrics->waiting_letters.Set(sum.letters);
    metrics->waiting_age.Set(sum.age);
  }
}

void Metrics::SetUnowned(const std::vector<UnownedShards>& unowned) {
  std::unordered_map<StreamMetrics*, double> sums;
  for (const UnownedShards& each : unowned) {
    sums[&For(each.stream)] += static_cast<double>(each.shards);
  }
  MutexLock lock(mutex_);
  for (const auto& [stream, metrics] : streams_) metrics->unowned.Set(sums[metrics.get()]);
}

void Metrics::SetWaiting(size_t calls) { waiting_.Set(static_cast<double>(calls)); }

}  // namespace lowmark
