#include "service/rpc/validate.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <unordered_set>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/policy.h"
#include "service/core/position.h"
#include "service/rpc/checks.h"
#include "service/rpc/message_size.h"

namespace lowmark {
namespace {

constexpr int32_t kMostLeases = 1000;
constexpr int32_t kMostHeld = 1000000;
constexpr int32_t kMostCapacity = 1000000;
constexpr int kMostShards = 10000;
constexpr int kMostLoads = 100000;
constexpr int kMostParents = 100;
constexpr int kMostStats = 1000;
constexpr size_t kLongestErrorType = 256;
constexpr size_t kLongestErrorMessage = 8192;
constexpr size_t kLongestKey = 64 << 10;

// A sequence number of either order; which one, the shard's decision knows.
absl::Status CheckSequence(absl::string_view field, const std::string& sequence) {
  if (IsToken(sequence)) return absl::OkStatus();
  return InvalidField(field, sequence,
                      "must be a sequence number: a decimal integer, or [A-Za-z0-9._:-]{1,128} "
                      "where the stream's order is POSITIONAL");
}

// The list of a batch, against the three fields that summarise it.
absl::Status CheckListed(absl::string_view field, const v1::ReportBatchRequest& request,
                         const google::protobuf::RepeatedPtrField<std::string>& sequences) {
  if (sequences.empty() || sequences.size() > Policy::kLargestBatch) {
    return InvalidField(absl::StrCat(field, ".sequences"),
                        absl::StrCat(sequences.size(), " entries"), "must have 1..10000");
  }
  for (int i = 0; i < sequences.size(); ++i) {
    if (!IsToken(sequences[i])) {
      return CheckSequence(absl::StrCat(field, ".sequences[", i, "]"), sequences[i]);
    }
  }
  if (request.record_count() != sequences.size()) {
    return InvalidField(
        "record_count", request.record_count(),
        absl::StrCat("must be the number of ", field, ".sequences, ", sequences.size()));
  }
  if (request.first_sequence() != sequences[0]) {
    return InvalidField("first_sequence", request.first_sequence(),
                        absl::StrCat("must be the first of ", field, ".sequences"));
  }
  if (request.last_sequence() != sequences[sequences.size() - 1]) {
    return InvalidField("last_sequence", request.last_sequence(),
                        absl::StrCat("must be the last of ", field, ".sequences"));
  }
  return absl::OkStatus();
}

absl::Status CheckHeaders(absl::string_view field, const v1::RecordData& record) {
  if (record.headers_size() > kMostHeaders) {
    return InvalidField(field, record.headers_size(),
                        absl::StrCat("must be at most ", kMostHeaders, " headers"));
  }
  size_t bytes = 0;
  for (const v1::RecordHeader& header : record.headers()) {
    bytes += header.name().size() + header.value().size();
  }
  if (bytes <= kLongestHeaders) return absl::OkStatus();
  return InvalidField(field, static_cast<int64_t>(bytes),
                      absl::StrCat("must be at most ", kLongestHeaders, " bytes"));
}

absl::Status CheckRecords(absl::string_view field,
                          const google::protobuf::RepeatedPtrField<v1::RecordData>& records,
                          const google::protobuf::RepeatedPtrField<std::string>& sequences) {
  if (records.empty()) return absl::OkStatus();
  const std::set<absl::string_view> known(sequences.begin(), sequences.end());
  std::set<absl::string_view> seen;
  for (int i = 0; i < records.size(); ++i) {
    const std::string name = absl::StrCat(field, ".records[", i, "]");
    if (!known.contains(records[i].sequence()) || !seen.insert(records[i].sequence()).second) {
      return InvalidField(absl::StrCat(name, ".sequence"), records[i].sequence(),
                          "must be one of the batch's, once");
    }
    if (records[i].partition_key().size() > kLongestKey) {
      return InvalidField(absl::StrCat(name, ".partition_key"), records[i].partition_key(),
                          "must be at most 65536 bytes");
    }
    if (auto s = CheckHeaders(absl::StrCat(name, ".headers"), records[i]); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status CheckError(absl::string_view field, const std::string& type,
                        const std::string& message) {
  if (auto s = CheckText(absl::StrCat(field, ".error_type"), type, kLongestErrorType, false);
      !s.ok()) {
    return s;
  }
  return CheckText(absl::StrCat(field, ".error_message"), message, kLongestErrorMessage, true);
}

absl::Status CheckSummary(const v1::ReportBatchRequest& request) {
  if (request.has_resolved() && request.record_count() != 0) {
    return InvalidField("record_count", request.record_count(), "must be 0 with resolved");
  }
  if (request.record_count() == 0) {
    if (!request.first_sequence().empty()) {
      return InvalidField("first_sequence", request.first_sequence(),
                          "must not be set when record_count is 0");
    }
    if (!request.last_sequence().empty()) {
      return InvalidField("last_sequence", request.last_sequence(),
                          "must not be set when record_count is 0");
    }
    return absl::OkStatus();
  }
  return First({CheckSequence("first_sequence", request.first_sequence()),
                CheckSequence("last_sequence", request.last_sequence())});
}

absl::Status CheckFailure(const v1::ReportBatchRequest& request) {
  const v1::BatchFailure& failure = request.failure();
  if (auto s = CheckListed("failure", request, failure.sequences()); !s.ok()) return s;
  if (failure.failed_sequences_size() > Policy::kLargestBatch) {
    return InvalidField("failure.failed_sequences",
                        absl::StrCat(failure.failed_sequences_size(), " entries"),
                        "must have at most 10000");
  }
  for (int i = 0; i < failure.failed_sequences_size(); ++i) {
    if (!IsToken(failure.failed_sequences(i))) {
      return CheckSequence(absl::StrCat("failure.failed_sequences[", i, "]"),
                           failure.failed_sequences(i));
    }
  }
  return First({CheckError("failure", failure.error_type(), failure.error_message()),
                CheckRecords("failure", failure.records(), failure.sequences())});
}

absl::Status CheckSetAside(const v1::ReportBatchRequest& request) {
  const v1::BatchSetAside& set_aside = request.set_aside();
  if (auto s = CheckListed("set_aside", request, set_aside.sequences()); !s.ok()) return s;
  if (set_aside.condition() <= v1::DEAD_LETTER_CONDITION_RETRY_ATTEMPTS_EXHAUSTED ||
      !v1::DeadLetterCondition_IsValid(set_aside.condition())) {
    return InvalidField("set_aside.condition", set_aside.condition(),
                        "must be RECORD_AGE_EXCEEDED (2), RECORD_TOO_LARGE (3) or "
                        "RECORD_UNREADABLE (4)");
  }
  return First({CheckRange("set_aside.count", set_aside.count(), 1, set_aside.sequences_size()),
                CheckError("set_aside", "", set_aside.error_message()),
                CheckRecords("set_aside", set_aside.records(), set_aside.sequences())});
}

absl::Status CheckParents(const std::string& name, const v1::SourceShard& shard) {
  const int count = shard.parents_size() + shard.former_parents_size();
  if (count > kMostParents) {
    return InvalidField(absl::StrCat(name, ".parents"), absl::StrCat(count, " entries"),
                        "must have at most 100, with former_parents");
  }
  std::set<std::string> seen = {shard.shard()};
  const auto check = [&](const char* list, const auto& parents) {
    for (int i = 0; i < parents.size(); ++i) {
      const std::string field = absl::StrCat(name, ".", list, "[", i, "]");
      if (auto s = CheckId(field, parents[i]); !s.ok()) return s;
      if (!seen.insert(parents[i]).second) {
        return InvalidField(field, parents[i], "must be another shard, named once");
      }
    }
    return absl::OkStatus();
  };
  return First(
      {check("parents", shard.parents()), check("former_parents", shard.former_parents())});
}

absl::Status CheckLoads(const google::protobuf::RepeatedPtrField<v1::ShardLoad>& loads) {
  if (loads.size() > kMostLoads) {
    return InvalidField("loads", absl::StrCat(loads.size(), " entries"),
                        absl::StrCat("must have at most ", kMostLoads));
  }
  std::unordered_set<absl::string_view, absl::Hash<absl::string_view>> seen;
  for (int i = 0; i < loads.size(); ++i) {
    const std::string name = absl::StrCat("loads[", i, "]");
    const v1::ShardLoad& load = loads[i];
    if (auto s = CheckId(absl::StrCat(name, ".shard"), load.shard()); !s.ok()) return s;
    if (!seen.insert(load.shard()).second) {
      return InvalidField(absl::StrCat(name, ".shard"), load.shard(), "must be listed once");
    }
    if (load.has_load() && !(std::isfinite(load.load()) && load.load() >= 0)) {
      return InvalidField(absl::StrCat(name, ".load"), absl::StrCat(load.load()),
                          "must be a number, 0 or more");
    }
  }
  return absl::OkStatus();
}

// The rest of what they say is checked where it is converted.
absl::Status CheckStats(const google::protobuf::RepeatedPtrField<v1::ShardStat>& stats) {
  if (stats.size() > kMostStats) {
    return InvalidField("stats", absl::StrCat(stats.size(), " entries"),
                        absl::StrCat("must have at most ", kMostStats));
  }
  std::unordered_set<absl::string_view, absl::Hash<absl::string_view>> seen;
  for (int i = 0; i < stats.size(); ++i) {
    const std::string name = absl::StrCat("stats[", i, "]");
    if (auto s = First({CheckId(absl::StrCat(name, ".shard"), stats[i].shard()),
                        CheckPositive(absl::StrCat(name, ".epoch"), stats[i].epoch())});
        !s.ok()) {
      return s;
    }
    if (!seen.insert(stats[i].shard()).second) {
      return InvalidField(absl::StrCat(name, ".shard"), stats[i].shard(), "must be listed once");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const v1::LeaseShardRequest& request) {
  return First(
      {CheckId("stream", request.stream()), CheckId("worker", request.worker()),
       CheckRange("max_leases", request.max_leases(), 0, kMostLeases),
       CheckRange("capacity", request.has_capacity() ? request.capacity() : 1, 1, kMostCapacity),
       CheckRange("held_leases", request.held_leases(), 0, kMostHeld)});
}

absl::Status Validate(const v1::ReportBatchRequest& request) {
  if (auto s = First({CheckId("stream", request.stream()), CheckId("shard", request.shard()),
                      CheckId("worker", request.worker()), CheckPositive("epoch", request.epoch()),
                      CheckPositive("delivery", request.delivery()),
                      CheckRange("record_count", request.record_count(), 0, Policy::kLargestBatch),
                      CheckEtag("config_etag", request.config_etag()), CheckSummary(request)});
      !s.ok()) {
    return s;
  }
  switch (request.outcome_case()) {
    case v1::ReportBatchRequest::kSuccess:
      return CheckText("success.vanished", request.success().vanished(), kLongestErrorMessage,
                       true);
    case v1::ReportBatchRequest::kFailure:
      return CheckFailure(request);
    case v1::ReportBatchRequest::kSetAside:
      return CheckSetAside(request);
    case v1::ReportBatchRequest::kNotRun:
      return CheckError("not_run", request.not_run().error_type(),
                        request.not_run().error_message());
    case v1::ReportBatchRequest::kStarted:
      return CheckListed("started", request, request.started().sequences());
    case v1::ReportBatchRequest::kResolved:
      return absl::OkStatus();  // its position is seen to by the rules
    case v1::ReportBatchRequest::OUTCOME_NOT_SET:
      break;
  }
  return InvalidField("outcome", "",
                      "must be success, failure, set_aside, not_run, started or resolved");
}

absl::Status Validate(const v1::HeartbeatRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("worker", request.worker()),
                CheckLoads(request.loads()), CheckStats(request.stats())});
}

absl::Status Validate(const v1::ReleaseShardRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("shard", request.shard()),
                CheckId("worker", request.worker()), CheckPositive("epoch", request.epoch())});
}

absl::Status Validate(const v1::SyncShardsRequest& request) {
  if (auto s = First({CheckId("stream", request.stream()), CheckId("worker", request.worker())});
      !s.ok()) {
    return s;
  }
  if (request.shards_size() > kMostShards) {
    return InvalidField("shards", absl::StrCat(request.shards_size(), " entries"),
                        "must have at most 10000");
  }
  std::set<std::string> seen;
  for (int i = 0; i < request.shards_size(); ++i) {
    const std::string name = absl::StrCat("shards[", i, "]");
    const v1::SourceShard& shard = request.shards(i);
    if (auto s = First(
            {CheckId(absl::StrCat(name, ".shard"), shard.shard()), CheckParents(name, shard)});
        !s.ok()) {
      return s;
    }
    if (!seen.insert(shard.shard()).second) {
      return InvalidField(absl::StrCat(name, ".shard"), shard.shard(), "must be listed once");
    }
  }
  return absl::OkStatus();
}

}  // namespace lowmark
