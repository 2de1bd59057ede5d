#include "service/rpc/admin_service.h"

#include <google/protobuf/util/field_mask_util.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"
#include "service/rpc/convert_stats.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

using google::protobuf::util::FieldMaskUtil;

constexpr int32_t kDefaultPage = 100;

int32_t PageSize(int32_t asked) { return asked == 0 ? kDefaultPage : asked; }

void Write(const Stream& stream, v1::Stream* proto) {
  proto->set_name(stream.name);
  ToProto(stream.policy, proto->mutable_config());
  proto->set_etag(stream.etag);
  ToProto(stream.create_time, proto->mutable_create_time());
  ToProto(stream.update_time, proto->mutable_update_time());
  if (stream.trouble) ToProto(*stream.trouble, proto->mutable_trouble());
}

v1::ShardStatus StatusOf(const Shard& shard) {
  if (shard.state.done()) return v1::SHARD_STATUS_DONE;
  if (shard.parents_left > 0) return v1::SHARD_STATUS_WAITING;
  return shard.owner.empty() ? v1::SHARD_STATUS_FREE : v1::SHARD_STATUS_LEASED;
}

void Write(const ShardRecord& record, v1::Shard* proto) {
  const Shard& shard = record.shard;
  proto->set_stream(shard.stream);
  proto->set_shard(shard.shard);
  proto->set_status(StatusOf(shard));
  proto->set_owner(shard.owner);
  proto->set_epoch(shard.epoch);
  ToProto(shard.state.position, proto->mutable_checkpoint());
  if (!shard.state.bounds.empty()) proto->set_end_sequence(shard.state.bounds.back());
  proto->set_delivery(shard.state.delivery);
  proto->set_attempts(shard.state.attempts);
  proto->set_lost_deliveries(shard.state.lost_deliveries);
  if (shard.state.not_before > absl::UnixEpoch()) {
    ToProto(shard.state.not_before, proto->mutable_not_before());
  }
  for (const std::string& parent : record.parents) proto->add_parents(parent);
  proto->set_parents_left(shard.parents_left);
  proto->set_cause(ToProto(shard.state.cause));
  if (record.stat) {
    proto->mutable_stat()->set_shard(shard.shard);
    proto->mutable_stat()->set_epoch(shard.epoch);
    ToProto(*record.stat, proto->mutable_stat());
  }
}

v1::WorkerStatus StatusOf(const WorkerRecord& record) {
  if (record.ended) return v1::WORKER_STATUS_ENDED;
  if (record.expires <= record.now) return v1::WORKER_STATUS_EXPIRED;
  if (record.load.draining) {
    return record.load.held > 0 ? v1::WORKER_STATUS_DRAINING : v1::WORKER_STATUS_DRAINED;
  }
  return record.load.cordoned ? v1::WORKER_STATUS_CORDONED : v1::WORKER_STATUS_LIVE;
}

void Write(const std::string& stream, const WorkerRecord& record, v1::Worker* proto) {
  proto->set_stream(stream);
  proto->set_worker(record.load.worker);
  proto->set_status(StatusOf(record));
  proto->set_capacity(record.load.capacity);
  proto->set_held_shards(record.load.held);
  proto->set_wanted_shards(record.load.wanted);
  proto->set_probation(!record.load.proven);
  ToProto(record.opened, proto->mutable_open_time());
  ToProto(record.expires, proto->mutable_expire_time());
  if (!record.ended && record.expires > record.now) {
    ToProto(record.expires - record.now, proto->mutable_expires_in());
  }
}

void Write(const Forwarding& forwarding, v1::DeadLetterForwarding* proto) {
  proto->set_tries(forwarding.tries);
  proto->set_error(forwarding.error);
  if (forwarding.forwarded) {
    ToProto(*forwarding.forwarded, proto->mutable_forward_time());
  } else {
    ToProto(forwarding.next_try, proto->mutable_next_try_time());
  }
}

void Write(const DeadLetter& letter, v1::DeadLetter* proto) {
  proto->set_id(absl::StrCat(letter.id));
  proto->set_stream(letter.stream);
  proto->set_shard(letter.shard);
  proto->set_first_sequence(letter.range.first);
  proto->set_last_sequence(letter.range.last);
  proto->set_record_count(letter.range.count);
  proto->set_condition(ToProto(letter.range.condition));
  proto->set_attempts(letter.range.attempts);
  proto->set_error_type(letter.range.error_type);
  proto->set_error_message(letter.range.error_message);
  ToProto(letter.create_time, proto->mutable_create_time());
  proto->set_worker(letter.worker);
  proto->set_epoch(letter.epoch);
  proto->set_delivery(letter.delivery);
  if (letter.forwarding) Write(*letter.forwarding, proto->mutable_forwarding());
  for (const Record& record : letter.records) ToProto(record, proto->add_records());
}

// Changes the fields of a policy that a validated mask names; what is masked but not set in
// `config` takes its default.
absl::StatusOr<Policy> Apply(const google::protobuf::FieldMask& mask,
                             const v1::StreamConfig& config, const Policy& current) {
  v1::StreamConfig merged;
  if (mask.paths_size() == 1 && mask.paths(0) == "*") {
    merged = config;
  } else {
    ToProto(current, &merged);
    FieldMaskUtil::MergeOptions options;
    options.set_replace_message_fields(true);
    options.set_replace_repeated_fields(true);
    FieldMaskUtil::MergeMessageTo(config, mask, options, &merged);
  }
  Policy defaults;
  defaults.sequence_order = current.sequence_order;
  auto policy = PolicyFromProto(merged, defaults);
  if (policy.ok() && policy->sequence_order != current.sequence_order) {
    return InvalidField("config.sequence_order", merged.sequence_order(),
                        "cannot be changed after the stream was created");
  }
  return policy;
}

}  // namespace

absl::Status AdminServiceImpl::CheckDestination(const Policy& policy) const {
  return coordinator_.options().destinations.Check(policy.on_failure);
}

grpc::Status AdminServiceImpl::CreateStream(grpc::ServerContext* context,
                                            const v1::CreateStreamRequest* request,
                                            v1::CreateStreamResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto policy = PolicyFromProto(
      request->config(), request->preset() == v1::PRESET_LAMBDA ? Policy::Lambda() : Policy());
  if (!policy.ok()) return ToGrpc(policy.status());
  if (auto s = CheckDestination(*policy); !s.ok()) return ToGrpc(s);
  auto stream = coordinator_.store().CreateStream(request->stream(), *policy);
  if (stream.ok()) Write(*stream, response->mutable_stream());
  return ToGrpc(stream.status());
}

grpc::Status AdminServiceImpl::GetStream(grpc::ServerContext* context,
                                         const v1::GetStreamRequest* request,
                                         v1::GetStreamResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto stream = coordinator_.store().GetStream(request->stream());
  if (stream.ok()) Write(*stream, response->mutable_stream());
  return ToGrpc(stream.status());
}

grpc::Status AdminServiceImpl::ListStreams(grpc::ServerContext* context,
                                           const v1::ListStreamsRequest* request,
                                           v1::ListStreamsResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  const int32_t size = PageSize(request->page_size());
  auto streams = coordinator_.store().ListStreams(request->page_token(), size + 1);
  if (!streams.ok()) return ToGrpc(streams.status());
  if (static_cast<int32_t>(streams->size()) > size) {
    streams->resize(size);
    response->set_next_page_token(streams->back().name);
  }
  for (const Stream& stream : *streams) Write(stream, response->add_streams());
  return grpc::Status::OK;
}

grpc::Status AdminServiceImpl::UpdateStream(grpc::ServerContext* context,
                                            const v1::UpdateStreamRequest* request,
                                            v1::UpdateStreamResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto stream = coordinator_.store().UpdateStream(
      request->stream(), request->etag(), [&](const Policy& current) -> absl::StatusOr<Policy> {
        auto policy = Apply(request->update_mask(), request->config(), current);
        if (!policy.ok() || policy->on_failure == current.on_failure) return policy;
        if (auto s = CheckDestination(*policy); !s.ok()) return s;
        return policy;
      });
  if (stream.ok()) Write(*stream, response->mutable_stream());
  return ToGrpc(stream.status());
}

grpc::Status AdminServiceImpl::DeleteStream(grpc::ServerContext* context,
                                            const v1::DeleteStreamRequest* request,
                                            v1::DeleteStreamResponse*) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  return ToGrpc(coordinator_.store().DeleteStream(request->stream(), request->etag()));
}

grpc::Status AdminServiceImpl::GetShard(grpc::ServerContext* context,
                                        const v1::GetShardRequest* request,
                                        v1::GetShardResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto record = coordinator_.store().GetShard(request->stream(), request->shard());
  if (record.ok()) Write(*record, response->mutable_shard());
  return ToGrpc(record.status());
}

grpc::Status AdminServiceImpl::ListShards(grpc::ServerContext* context,
                                          const v1::ListShardsRequest* request,
                                          v1::ListShardsResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  const int32_t size = PageSize(request->page_size());
  auto records =
      coordinator_.store().ListShards(request->stream(), request->page_token(), size + 1);
  if (!records.ok()) return ToGrpc(records.status());
  if (static_cast<int32_t>(records->size()) > size) {
    records->resize(size);
    response->set_next_page_token(records->back().shard.shard);
  }
  for (const ShardRecord& record : *records) Write(record, response->add_shards());
  auto stream = coordinator_.store().GetStream(request->stream());
  if (!stream.ok()) return ToGrpc(stream.status());
  if (stream->trouble) ToProto(*stream->trouble, response->mutable_trouble());
  return grpc::Status::OK;
}

grpc::Status AdminServiceImpl::SeekShard(grpc::ServerContext* context,
                                         const v1::SeekShardRequest* request,
                                         v1::SeekShardResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto stream = coordinator_.store().GetStream(request->stream());
  if (!stream.ok()) return ToGrpc(stream.status());
  auto position = PositionFromProto("position", request->position(), stream->policy.sequence_order);
  if (!position.ok()) return ToGrpc(position.status());
  auto answer = coordinator_.Seek(request->stream(), request->shard(), *position, request->reason(),
                                  request->dry_run());
  if (answer.ok()) {
    Write(answer->before, response->mutable_before());
    Write(answer->after, response->mutable_after());
  }
  return ToGrpc(answer.status());
}

grpc::Status AdminServiceImpl::ListWorkers(grpc::ServerContext* context,
                                           const v1::ListWorkersRequest* request,
                                           v1::ListWorkersResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  const int32_t size = PageSize(request->page_size());
  auto workers =
      coordinator_.store().ListWorkers(request->stream(), request->page_token(), size + 1);
  if (!workers.ok()) return ToGrpc(workers.status());
  if (static_cast<int32_t>(workers->size()) > size) {
    workers->resize(size);
    response->set_next_page_token(workers->back().load.worker);
  }
  for (const WorkerRecord& worker : *workers) {
    Write(request->stream(), worker, response->add_workers());
  }
  return grpc::Status::OK;
}

grpc::Status AdminServiceImpl::CordonWorker(grpc::ServerContext* context,
                                            const v1::CordonWorkerRequest* request,
                                            v1::CordonWorkerResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto worker = coordinator_.store().ChangeWorker(request->stream(), request->worker(),
                                                  {.cordoned = true, .draining = std::nullopt});
  if (worker.ok()) Write(request->stream(), *worker, response->mutable_worker());
  return ToGrpc(worker.status());
}

grpc::Status AdminServiceImpl::UncordonWorker(grpc::ServerContext* context,
                                              const v1::UncordonWorkerRequest* request,
                                              v1::UncordonWorkerResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto worker = coordinator_.store().ChangeWorker(request->stream(), request->worker(),
                                                  {.cordoned = false, .draining = false});
  if (worker.ok()) Write(request->stream(), *worker, response->mutable_worker());
  return ToGrpc(worker.status());
}

grpc::Status AdminServiceImpl::DrainWorker(grpc::ServerContext* context,
                                           const v1::DrainWorkerRequest* request,
                                           v1::DrainWorkerResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  auto worker = coordinator_.store().ChangeWorker(request->stream(), request->worker(),
                                                  {.cordoned = true, .draining = true});
  if (worker.ok()) Write(request->stream(), *worker, response->mutable_worker());
  return ToGrpc(worker.status());
}

grpc::Status AdminServiceImpl::GetDeadLetter(grpc::ServerContext* context,
                                             const v1::GetDeadLetterRequest* request,
                                             v1::GetDeadLetterResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  int64_t id = 0;
  (void)absl::SimpleAtoi(request->id(), &id);  // validated above
  auto letter = coordinator_.store().GetDeadLetter(request->stream(), id);
  if (letter.ok()) Write(*letter, response->mutable_dead_letter());
  return ToGrpc(letter.status());
}

grpc::Status AdminServiceImpl::ListDeadLetters(grpc::ServerContext* context,
                                               const v1::ListDeadLettersRequest* request,
                                               v1::ListDeadLettersResponse* response) {
  if (auto s = gate_.Admit(*context, *request); !s.ok()) return ToGrpc(s);
  const int32_t size = PageSize(request->page_size());
  int64_t after = 0;
  (void)absl::SimpleAtoi(request->page_token(), &after);  // validated above; empty is 0
  auto letters =
      coordinator_.store().ListDeadLetters(request->stream(), request->shard(), after, size + 1);
  if (!letters.ok()) return ToGrpc(letters.status());
  if (static_cast<int32_t>(letters->size()) > size) {
    letters->resize(size);
    response->set_next_page_token(absl::StrCat(letters->back().id));
  }
  for (const DeadLetter& letter : *letters) Write(letter, response->add_dead_letters());
  return grpc::Status::OK;
}

}  // namespace lowmark
