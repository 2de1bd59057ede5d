#include "service/rpc/coordinator_service.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/rpc/convert.h"
#include "service/rpc/convert_stats.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

// A long poll is answered this much before its caller's deadline, so that the
// answer still arrives: a tenth of it, at most half a second.
absl::Duration Patience(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  const auto now = std::chrono::system_clock::now();
  if (deadline > now + std::chrono::hours(24)) return absl::Hours(24);
  const absl::Duration left =
      absl::FromChrono(std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - now));
  return left - std::min(left / 10, absl::Milliseconds(500));
}

grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

std::vector<std::string> ToVector(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

absl::Status ReadRecords(absl::string_view field,
                         const google::protobuf::RepeatedPtrField<v1::RecordData>& protos,
                         std::vector<Record>& records) {
  for (int i = 0; i < protos.size(); ++i) {
    auto record = RecordFromProto(absl::StrCat(field, ".records[", i, "]"), protos[i]);
    if (!record.ok()) return record.status();
    records.push_back(*std::move(record));
  }
  return absl::OkStatus();
}

// Converts a report that was validated.
absl::StatusOr<std::shared_ptr<const Report>> ReadReport(const v1::ReportBatchRequest& request) {
  auto report = std::make_shared<Report>();
  report->stream = request.stream();
  report->shard = request.shard();
  report->worker = request.worker();
  report->epoch = request.epoch();
  report->delivery = request.delivery();
  report->config_etag = request.config_etag();
  absl::Status records;
  if (request.has_success()) {
    report->event = Succeeded{request.first_sequence(), request.last_sequence(),
                              request.record_count(), request.success().shard_end()};
    report->trouble = request.success().vanished();
  } else if (request.has_failure()) {
    const v1::BatchFailure& failure = request.failure();
    report->event = Failed{ToVector(failure.sequences()), ToVector(failure.failed_sequences()),
                           failure.error_type(), failure.error_message()};
    records = ReadRecords("failure", failure.records(), report->records);
  } else if (request.has_set_aside()) {
    const v1::BatchSetAside& set_aside = request.set_aside();
    auto condition = ConditionFromProto("set_aside.condition", set_aside.condition());
    if (!condition.ok()) return condition.status();
    report->event = SetAside{ToVector(set_aside.sequences()), set_aside.count(), *condition,
                             set_aside.error_message()};
    records = ReadRecords("set_aside", set_aside.records(), report->records);
  } else if (request.has_not_run()) {
    report->event = NotRun{};
    report->trouble =
        absl::StrCat(request.not_run().error_type(), ": ", request.not_run().error_message());
  } else if (request.has_resolved()) {
    // Whether it has the form that the stream's order asks for is seen by its rules.
    auto position = PositionFromProto("resolved.position", request.resolved().position(),
                                      SequenceOrder::kPositional);
    if (!position.ok()) return position.status();
    report->event = Resolved{*std::move(position)};
  } else {
    report->event = Started{ToVector(request.started().sequences())};
  }
  if (!records.ok()) return records;
  return report;
}

absl::StatusOr<Renewal> ReadRenewal(const v1::HeartbeatRequest& request) {
  Renewal renewal;
  renewal.worker = request.worker();
  renewal.measured = request.loads_size() > 0;
  for (const v1::ShardLoad& load : request.loads()) {
    renewal.loads.push_back(
        {load.shard(), load.has_load() ? std::optional(load.load()) : std::nullopt});
  }
  for (int i = 0; i < request.stats_size(); ++i) {
    auto stat = StatFromProto(absl::StrCat("stats[", i, "]"), request.stats(i));
    if (!stat.ok()) return stat.status();
    renewal.stats.push_back({request.stats(i).shard(), request.stats(i).epoch(), *std::move(stat)});
  }
  if (request.has_listing()) renewal.listing.emplace();
  if (request.listing().has_trouble()) {
    auto trouble = TroubleFromProto("listing.trouble", request.listing().trouble());
    if (!trouble.ok()) return trouble.status();
    renewal.listing->trouble = *std::move(trouble);
  }
  return renewal;
}

// Workers have no part in what becomes of dead letters, nor in what secrets a
// destination may hold.
void WriteConfig(const Policy& policy, v1::StreamConfig* proto) {
  ToProto(policy, proto);
  proto->clear_on_failure();
}

void Write(const ReportAnswer& answer, v1::ReportBatchResponse* response) {
  ToProto(answer.shard.state.position, response->mutable_checkpoint());
  if (answer.next) ToProto(answer.shard, *answer.next, response->mutable_next());
  response->set_discarded_records(static_cast<int32_t>(answer.discarded));
  response->set_hand_over(answer.hand_over);
  if (answer.policy) WriteConfig(*answer.policy, response->mutable_config());
  response->set_config_etag(answer.etag);
}

void Write(const LeaseGrant& grant, v1::LeaseShardResponse* response) {
  for (const LeaseGrant::Lease& lease : grant.leases) {
    v1::Lease* proto = response->add_leases();
    proto->set_shard(lease.shard.shard);
    proto->set_epoch(lease.shard.epoch);
    ToProto(lease.shard, lease.delivery, proto->mutable_delivery());
    WriteConfig(grant.policy, proto->mutable_config());
    proto->set_config_etag(grant.etag);
  }
  response->set_sync_shards(grant.elected);
}

}  // namespace

grpc::ServerUnaryReactor* CoordinatorServiceImpl::LeaseShard(grpc::CallbackServerContext* context,
                                                             const v1::LeaseShardRequest* request,
                                                             v1::LeaseShardResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return Refuse(context, s);
  LeaseCall call;
  call.worker = request->worker();
  call.max_leases = request->max_leases();
  call.capacity = request->has_capacity() ? request->capacity() : 1;
  call.held = request->held_leases();
  call.wait = Patience(*context);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.LeaseShard(
      request->stream(), std::move(call), [context] { return context->IsCancelled(); },
      [this, reactor, response](absl::StatusOr<LeaseGrant> grant) {
        if (grant.ok()) {
          Write(*grant, response);
          ToProto(coordinator_.options().session_ttl, response->mutable_session_ttl());
        }
        reactor->Finish(ToGrpc(grant.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::ReportBatch(grpc::CallbackServerContext* context,
                                                              const v1::ReportBatchRequest* request,
                                                              v1::ReportBatchResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return Refuse(context, s);
  auto report = ReadReport(*request);
  if (!report.ok()) return Refuse(context, report.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.ReportBatch(*std::move(report),
                           [reactor, response](absl::StatusOr<ReportAnswer> answer) {
                             if (answer.ok()) Write(*answer, response);
                             reactor->Finish(ToGrpc(answer.status()));
                           });
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::Heartbeat(grpc::CallbackServerContext* context,
                                                            const v1::HeartbeatRequest* request,
                                                            v1::HeartbeatResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return Refuse(context, s);
  auto renewal = ReadRenewal(*request);
  if (!renewal.ok()) return Refuse(context, renewal.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.Heartbeat(
      request->stream(), *std::move(renewal), [context] { return context->IsCancelled(); },
      [this, reactor, response](absl::StatusOr<HeartbeatAnswer> answer) {
        if (answer.ok()) {
          ToProto(coordinator_.options().session_ttl, response->mutable_session_ttl());
          for (const std::string& shard : answer->hand_over) {
            response->add_hand_over_shards(shard);
          }
          response->set_sync_shards(answer->elected);
          response->set_stats_token(answer->stats_token);
        }
        reactor->Finish(ToGrpc(answer.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::ReleaseShard(
    grpc::CallbackServerContext* context, const v1::ReleaseShardRequest* request,
    v1::ReleaseShardResponse*) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return Refuse(context, s);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.ReleaseShard(request->stream(), request->shard(), request->worker(),
                            request->epoch(),
                            [reactor](absl::Status status) { reactor->Finish(ToGrpc(status)); });
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorServiceImpl::SyncShards(grpc::CallbackServerContext* context,
                                                             const v1::SyncShardsRequest* request,
                                                             v1::SyncShardsResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return Refuse(context, s);
  std::vector<SourceShard> shards;
  for (const v1::SourceShard& shard : request->shards()) {
    shards.push_back({shard.shard(), ToVector(shard.parents()), ToVector(shard.former_parents())});
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  coordinator_.SyncShards(request->stream(), request->worker(), std::move(shards),
                          [reactor, response](absl::StatusOr<int32_t> added) {
                            if (added.ok()) response->set_added(*added);
                            reactor->Finish(ToGrpc(added.status()));
                          });
  return reactor;
}

}  // namespace lowmark
