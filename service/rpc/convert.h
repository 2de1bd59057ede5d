// Between the wire's messages and the core's types, both ways. FromProto checks
// what a type cannot hold (times, durations, unset oneofs) and names the field;
// what the rules say about values is checked elsewhere.
#ifndef LOWMARK_SERVICE_RPC_CONVERT_H_
#define LOWMARK_SERVICE_RPC_CONVERT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lowmark/v1/admin.pb.h"
#include "lowmark/v1/coordinator.pb.h"
#include "service/core/lease.h"
#include "service/core/policy.h"
#include "service/core/record.h"
#include "service/core/step.h"

namespace lowmark {

void ToProto(absl::Time time, google::protobuf::Timestamp* proto);
void ToProto(absl::Duration duration, google::protobuf::Duration* proto);
absl::StatusOr<absl::Time> TimeFromProto(absl::string_view field,
                                         const google::protobuf::Timestamp& proto);
absl::StatusOr<absl::Duration> DurationFromProto(absl::string_view field,
                                                 const google::protobuf::Duration& proto);

void ToProto(const Position& position, v1::Position* proto);
// INVALID_ARGUMENT where no kind is set, or the sequence number has not the
// form that the order asks for.
absl::StatusOr<Position> PositionFromProto(absl::string_view field, const v1::Position& proto,
                                           SequenceOrder order);

// Every field is set.
void ToProto(const Policy& policy, v1::StreamConfig* proto);
// Fields that are not set are taken from `defaults`. The result is validated.
absl::StatusOr<Policy> PolicyFromProto(const v1::StreamConfig& proto, const Policy& defaults);

v1::RedeliveryCause ToProto(Redelivery cause);
Redelivery CauseFromProto(v1::RedeliveryCause cause);
v1::DeadLetterCondition ToProto(Condition condition);
// INVALID_ARGUMENT where it is none.
absl::StatusOr<Condition> ConditionFromProto(absl::string_view field,
                                             v1::DeadLetterCondition condition);

// `batch_id` of the wire is unique among all shards of all streams.
void ToProto(const Shard& shard, const Delivery& delivery, v1::Delivery* proto);

void ToProto(const Record& record, v1::RecordData* proto);
absl::StatusOr<Record> RecordFromProto(absl::string_view field, const v1::RecordData& proto);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CONVERT_H_
