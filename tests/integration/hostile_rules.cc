#include "tests/integration/hostile_rules.h"

#include <cstdint>
#include <limits>
#include <regex>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
constexpr int64_t kTenYears = int64_t{3650} * 24 * 3600;

Verdict AcceptedIf(bool accepted) { return accepted ? Verdict::kAccepted : Verdict::kRefused; }

bool Matches(const std::string& text, const char* pattern) {
  return std::regex_match(text, std::regex(pattern));
}

bool IsId(const std::string& text) { return Matches(text, "[A-Za-z0-9._:-]{1,128}"); }

// --- Text --------------------------------------------------------------------

Verdict Id(const Probe& probe) { return AcceptedIf(IsId(probe.text)); }

Verdict IdOrEmpty(const Probe& probe) { return AcceptedIf(probe.text.empty() || IsId(probe.text)); }

// An id that must be known besides.
Verdict KnownId(const Probe& probe) {
  return IsId(probe.text) ? Verdict::kEither : Verdict::kRefused;
}

Verdict RowId(const Probe& probe) { return AcceptedIf(Matches(probe.text, "[1-9][0-9]{0,17}")); }

Verdict RowIdOrEmpty(const Probe& probe) {
  return probe.text.empty() ? Verdict::kAccepted : RowId(probe);
}

Verdict Sequence(const Probe& probe) {
  return AcceptedIf(Matches(probe.text, "0|[1-9][0-9]{0,127}"));
}

Rule Text(size_t longest, bool lines, bool required = false) {
  return [=](const Probe& probe) {
    bool clean = probe.text.size() <= longest && !(required && probe.text.empty());
    for (const char c : probe.text) {
      const bool line = c == '\n' || c == '\t';
      if ((c >= 0 && c < 0x20 && !(lines && line)) || c == 0x7f) clean = false;
    }
    return AcceptedIf(clean);
  };
}

Rule Bytes(size_t longest) {
  return [=](const Probe& probe) { return AcceptedIf(probe.text.size() <= longest); };
}

// --- Numbers -----------------------------------------------------------------

Rule Range(int64_t low, int64_t high) {
  return
      [=](const Probe& probe) { return AcceptedIf(probe.number >= low && probe.number <= high); };
}

Rule RangeOr(int64_t other, int64_t low, int64_t high) {
  return [=](const Probe& probe) {
    return probe.number == other ? Verdict::kAccepted : Range(low, high)(probe);
  };
}

Rule Real(double low, double high) {
  return [=](const Probe& probe) { return AcceptedIf(probe.real >= low && probe.real <= high); };
}

bool IsDuration(const Probe& probe) {
  const bool mixed = (probe.number > 0 && probe.nanos < 0) || (probe.number < 0 && probe.nanos > 0);
  return probe.nanos > -1'000'000'000 && probe.nanos < 1'000'000'000 && !mixed;
}

// A Duration of so many seconds; unset it has a default.
Rule Seconds(int64_t low, int64_t high) {
  return [=](const Probe& probe) {
    if (probe.kind == Probe::Kind::kAbsent) return Verdict::kAccepted;
    const bool below = probe.number < low || (probe.number == low && probe.nanos < 0);
    const bool above = probe.number > high || (probe.number == high && probe.nanos > 0);
    return AcceptedIf(IsDuration(probe) && !below && !above);
  };
}

// Whole seconds, -1 for no limit.
Verdict RecordAge(const Probe& probe) {
  if (probe.kind == Probe::Kind::kAbsent) return Verdict::kAccepted;
  return AcceptedIf(probe.nanos == 0 &&
                    (probe.number == -1 || (probe.number >= 60 && probe.number <= 604'800)));
}

// Above nothing, up to so many seconds.
Rule Pause(int64_t high) {
  return [=](const Probe& probe) {
    if (probe.kind == Probe::Kind::kAbsent) return Verdict::kAccepted;
    const bool positive = probe.number > 0 || (probe.number == 0 && probe.nanos > 0);
    return positive ? Seconds(0, high)(probe) : Verdict::kRefused;
  };
}

// A Timestamp from 1970 to 2262; unset it is 1970, or another case of its oneof.
Verdict Time(const Probe& probe) {
  if (probe.kind == Probe::Kind::kAbsent) return Verdict::kEither;
  return AcceptedIf(probe.number >= 0 && probe.number <= 9'223'372'035 && probe.nanos >= 0 &&
                    probe.nanos < 1'000'000'000);
}

// --- The rest ----------------------------------------------------------------

Verdict Never(const Probe&) { return Verdict::kRefused; }
Verdict Always(const Probe&) { return Verdict::kAccepted; }

// Copies of one entry: fine where entries may repeat, up to a limit.
Rule Entries(int64_t low, int64_t high) { return Range(low, high); }

// Entries that must differ: none is fine, copies are not.
const Rule kDistinctEntries = Range(0, 0);

// The number of records, which has to fit what else the report says.
Verdict RecordCount(const Probe& probe) {
  return probe.number >= 0 && probe.number <= 10'000 ? Verdict::kEither : Verdict::kRefused;
}

// A sequence number that has to lie in the delivery; none where it has no records.
Verdict SequenceInBatch(const Probe& probe) {
  return probe.text.empty() || IsId(probe.text) ? Verdict::kEither : Verdict::kRefused;
}

// One of the failed: unknown ones are a way to say "all".
Verdict FailedSequence(const Probe& probe) { return Id(probe); }

std::map<std::string, Rule> WorkerRules() {
  return {
      {"LeaseShardRequest.stream", Id},
      {"LeaseShardRequest.worker", Id},
      {"LeaseShardRequest.max_leases", Range(0, 1000)},
      {"LeaseShardRequest.capacity", Range(1, 1'000'000)},
      {"LeaseShardRequest.held_leases", Range(0, 1'000'000)},
      {"ReportBatchRequest.stream", Id},
      {"ReportBatchRequest.shard", Id},
      {"ReportBatchRequest.worker", Id},
      {"ReportBatchRequest.epoch", Range(1, kUnlimited)},
      {"ReportBatchRequest.delivery", Range(1, kUnlimited)},
      {"ReportBatchRequest.first_sequence", SequenceInBatch},
      {"ReportBatchRequest.last_sequence", SequenceInBatch},
      {"ReportBatchRequest.record_count", RecordCount},
      {"ReportBatchRequest.config_etag", Text(128, false)},
      {"ReportBatchRequest.outcome", Never},
      {"ReportBatchRequest.success", Never},
      {"ReportBatchRequest.failure", Never},
      {"ReportBatchRequest.set_aside", Never},
      {"ReportBatchRequest.not_run", Never},
      {"ReportBatchRequest.started", Never},
      {"ReportBatchRequest.resolved", Never},
      {"BatchSuccess.shard_end", Always},
      // Another list is not the batch of which first, last and count are told.
      {"BatchFailure.sequences", Never},
      {"BatchFailure.sequences[]", Never},
      {"BatchFailure.failed_sequences", Entries(0, 10'000)},
      {"BatchFailure.failed_sequences[]", FailedSequence},
      {"BatchFailure.error_type", Text(256, false)},
      {"BatchFailure.error_message", Text(8192, true)},
      {"BatchFailure.records", kDistinctEntries},
      {"BatchSetAside.sequences", Never},
      {"BatchSetAside.sequences[]", Never},
      {"BatchSetAside.count", Range(1, 2)},
      {"BatchSetAside.condition", Range(2, 4)},
      {"BatchSetAside.error_message", Text(8192, true)},
      {"BatchSetAside.records", kDistinctEntries},
      {"BatchNotRun.error_type", Text(256, false)},
      {"BatchNotRun.error_message", Text(8192, true)},
      {"BatchStarted.sequences", Never},
      {"BatchStarted.sequences[]", Never},
      {"BatchSuccess.vanished", Text(8192, true)},
      {"BatchResolved.position", Never},
      {"RecordData.sequence", Never},
      {"RecordData.partition_key", Bytes(65'536)},
      {"RecordData.arrival_time", Time},
      {"RecordData.data", Bytes(65'537)},
      {"RecordData.headers", Entries(0, 1000)},
      {"RecordHeader.name", Bytes(65'537)},
      {"RecordHeader.value", Bytes(65'537)},
      {"HeartbeatRequest.stream", Id},
      {"HeartbeatRequest.worker", Id},
      {"HeartbeatRequest.loads", kDistinctEntries},
      {"HeartbeatRequest.stats", kDistinctEntries},
      {"HeartbeatRequest.listing", Always},
      {"ShardStat.shard", Id},
      {"ShardStat.epoch", Range(1, kUnlimited)},
      {"ShardStat.idle", Always},
      {"ShardStat.lag_age", Seconds(0, kTenYears)},
      {"ShardStat.backlog", Range(0, kUnlimited)},
      {"ShardStat.trouble", Always},
      {"ListingStat.trouble", Always},
      {"Trouble.kind", Range(1, 2)},
      {"Trouble.message", Text(512, false, /*required=*/true)},
      {"Trouble.lasted", Seconds(0, kTenYears)},
      {"ShardLoad.shard", Id},
      {"ShardLoad.load", Real(0, std::numeric_limits<double>::max())},
      {"ReleaseShardRequest.stream", Id},
      {"ReleaseShardRequest.shard", Id},
      {"ReleaseShardRequest.worker", Id},
      {"ReleaseShardRequest.epoch", Range(1, kUnlimited)},
      {"SyncShardsRequest.stream", Id},
      {"SyncShardsRequest.worker", Id},
      {"SyncShardsRequest.shards", kDistinctEntries},
      {"SourceShard.shard", Id},
      {"SourceShard.parents", kDistinctEntries},
      {"SourceShard.parents[]", KnownId},
      {"SourceShard.former_parents", kDistinctEntries},
      {"SourceShard.former_parents[]", Id},
  };
}

std::map<std::string, Rule> ConfigRules() {
  return {
      {"StreamConfig.batch_size", Range(1, 10'000)},
      {"StreamConfig.maximum_batching_window", Seconds(0, 300)},
      {"StreamConfig.maximum_batch_bytes", Range(1024, 64 << 20)},
      {"StreamConfig.starting_position", Always},
      {"StreamConfig.report_batch_item_failures", Always},
      {"StreamConfig.bisect_batch_on_failure", Always},
      {"StreamConfig.maximum_retry_attempts", Range(-1, 10'000)},
      {"StreamConfig.maximum_record_age", RecordAge},
      {"StreamConfig.discard_scope", Range(0, 2)},
      {"StreamConfig.retry_backoff", Always},
      {"StreamConfig.maximum_lost_deliveries", RangeOr(-1, 1, 1000)},
      {"StreamConfig.handler_timeout", Seconds(1, 900)},
      {"StreamConfig.handoff_timeout", Seconds(1, 900)},
      // A stream keeps the order that it was created with.
      {"StreamConfig.sequence_order",
       [](const Probe& probe) {
         return probe.number == 2 ? Verdict::kEither : Range(0, 1)(probe);
       }},
      {"StreamConfig.paused", Always},
      {"StreamConfig.frozen", Always},
      {"StreamConfig.balance_by", Range(0, 3)},
      {"RetryBackoff.initial", Pause(60)},
      {"RetryBackoff.multiplier", Real(1, 10)},
      // No shorter than the first pause of the good request, a second.
      {"RetryBackoff.maximum",
       [](const Probe& probe) {
         return probe.kind == Probe::Kind::kAbsent ? Verdict::kAccepted : Seconds(1, 3600)(probe);
       }},
      {"RetryBackoff.jitter", Real(0, 1)},
      {"Position.position", Never},
      {"Position.at_timestamp",
       [](const Probe& probe) {
         return probe.kind == Probe::Kind::kAbsent ? Verdict::kRefused : Time(probe);
       }},
      {"Position.trim_horizon", Never},
      {"Position.latest", Never},
      {"Position.at_sequence", Sequence},
      {"Position.after_sequence", Sequence},
  };
}

Rule Form(const char* pattern) {
  return [=](const Probe& probe) { return AcceptedIf(Matches(probe.text, pattern)); };
}

// Where dead letters go. Each kind is in a good request of its own.
std::map<std::string, Rule> OnFailureRules() {
  return {
      {"StreamConfig.on_failure", Always},
      {"OnFailure.destination", Always},
      {"OnFailure.http", Always},
      {"OnFailure.kafka", Always},
      {"OnFailure.directory", Always},
      {"OnFailure.timeout", Seconds(1, 30)},
      {"OnFailure.maximum_data_bytes", Range(0, 1 << 20)},
      {"OnFailure.function_arn", Text(512, false)},
      {"OnFailure.stream_arn", Text(512, false)},
      {"HttpDestination.url", Never},  // none of the texts is one
      {"HttpDestination.headers", Always},
      {"HttpDestination.HeadersEntry.key", Form("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")},
      {"HttpDestination.HeadersEntry.value", Text(4096, false, /*required=*/true)},
      {"KafkaDestination.brokers", Form("[A-Za-z0-9._:\\[\\]-]{1,255}")},
      {"KafkaDestination.topic", Form("[A-Za-z0-9._-]{1,249}")},
      {"KafkaDestination.properties", Always},
      {"KafkaDestination.PropertiesEntry.key", Never},  // none is an allowed one
      {"KafkaDestination.PropertiesEntry.value",
       [](const Probe& probe) {
         return probe.text == "\t" ? Verdict::kRefused : Text(16384, true, true)(probe);
       }},
      {"DirectoryDestination.path",
       Form("[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,254}(/[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,254})*")},
  };
}

std::map<std::string, Rule> AdminRules() {
  return {
      {"CreateStreamRequest.stream", Id},
      {"CreateStreamRequest.config", Always},
      {"CreateStreamRequest.preset", Range(0, 1)},
      {"GetStreamRequest.stream", Id},
      {"ListStreamsRequest.page_size", Range(0, 1000)},
      {"ListStreamsRequest.page_token", IdOrEmpty},
      {"UpdateStreamRequest.stream", Id},
      {"UpdateStreamRequest.config", Always},
      {"UpdateStreamRequest.update_mask", Never},
      {"UpdateStreamRequest.etag", Text(128, false)},
      {"FieldMask.paths", Never},  // "*" stands alone
      {"FieldMask.paths[]", [](const Probe& probe) { return AcceptedIf(probe.text == "*"); }},
      {"DeleteStreamRequest.stream", Id},
      {"DeleteStreamRequest.etag", Text(128, false)},
      {"GetShardRequest.stream", Id},
      {"GetShardRequest.shard", Id},
      {"ListShardsRequest.stream", Id},
      {"ListShardsRequest.page_size", Range(0, 1000)},
      {"ListShardsRequest.page_token", IdOrEmpty},
      {"SeekShardRequest.stream", Id},
      {"SeekShardRequest.shard", Id},
      {"SeekShardRequest.position", Never},
      {"SeekShardRequest.reason", Text(1024, false, /*required=*/true)},
      {"SeekShardRequest.dry_run", Always},
      {"ListWorkersRequest.stream", Id},
      {"ListWorkersRequest.page_size", Range(0, 1000)},
      {"ListWorkersRequest.page_token", IdOrEmpty},
      {"CordonWorkerRequest.stream", Id},
      {"CordonWorkerRequest.worker", Id},
      {"UncordonWorkerRequest.stream", Id},
      {"UncordonWorkerRequest.worker", Id},
      {"DrainWorkerRequest.stream", Id},
      {"DrainWorkerRequest.worker", Id},
      {"GetDeadLetterRequest.stream", Id},
      {"GetDeadLetterRequest.id", RowId},
      {"ListDeadLettersRequest.stream", Id},
      {"ListDeadLettersRequest.shard", IdOrEmpty},
      {"ListDeadLettersRequest.page_size", Range(0, 1000)},
      {"ListDeadLettersRequest.page_token", RowIdOrEmpty},
  };
}

std::map<std::string, Rule> AllRules() {
  std::map<std::string, Rule> rules;
  for (const auto& part : {WorkerRules(), ConfigRules(), OnFailureRules(), AdminRules()}) {
    for (const auto& [field, rule] : part) {
      const bool ours = field.rfind("FieldMask.", 0) != 0;
      rules[absl::StrCat(ours ? "lowmark.v1." : "google.protobuf.", field)] = rule;
    }
  }
  return rules;
}

}  // namespace

const std::map<std::string, Rule>& HostileRules() {
  static const std::map<std::string, Rule> rules = AllRules();
  return rules;
}

}  // namespace lowmark
