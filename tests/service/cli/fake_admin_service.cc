#include "tests/service/cli/fake_admin_service.h"

#include <google/protobuf/util/field_mask_util.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace lowmark {
namespace {

grpc::Status NoStream(const std::string& stream) {
  return LowmarkError(grpc::StatusCode::NOT_FOUND, "STREAM_NOT_FOUND",
                      absl::StrCat("there is no stream \"", stream, "\""));
}

// Gives `add` the entries of a page, and returns the token of the next.
template <typename Entries, typename Add>
std::string Page(const Entries& entries, int page_size, const std::string& token, Add add) {
  size_t start = 0;
  (void)absl::SimpleAtoi(token, &start);
  const size_t end = std::min(entries.size(), start + (page_size == 0 ? 100 : page_size));
  for (size_t i = start; i < end; ++i) add(entries[i]);
  return end < entries.size() ? absl::StrCat(end) : "";
}

}  // namespace

grpc::Status LowmarkError(grpc::StatusCode code, const std::string& reason,
                          const std::string& message) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("lowmark");
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(info);
  return grpc::Status(code, message, details.SerializeAsString());
}

FakeAdminService::FakeAdminService() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeAdminService::~FakeAdminService() { server_->Shutdown(std::chrono::system_clock::now()); }

std::string FakeAdminService::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status FakeAdminService::CreateStream(grpc::ServerContext*,
                                            const v1::CreateStreamRequest* request,
                                            v1::CreateStreamResponse* response) {
  if (!failure.ok()) return failure;
  created = *request;
  if (streams.count(request->stream()) > 0) {
    return LowmarkError(grpc::StatusCode::ALREADY_EXISTS, "STREAM_EXISTS",
                        absl::StrCat("there is a stream \"", request->stream(), "\" already"));
  }
  v1::Stream& stream = streams[request->stream()];
  stream.set_name(request->stream());
  *stream.mutable_config() = request->config();
  *response->mutable_stream() = stream;
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::GetStream(grpc::ServerContext*, const v1::GetStreamRequest* request,
                                         v1::GetStreamResponse* response) {
  if (!failure.ok()) return failure;
  const auto it = streams.find(request->stream());
  if (it == streams.end()) return NoStream(request->stream());
  *response->mutable_stream() = it->second;
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::ListStreams(grpc::ServerContext*,
                                           const v1::ListStreamsRequest* request,
                                           v1::ListStreamsResponse* response) {
  if (!failure.ok()) return failure;
  page_sizes.push_back(request->page_size());
  std::vector<v1::Stream> all;
  for (const auto& [name, stream] : streams) all.push_back(stream);
  response->set_next_page_token(
      Page(all, request->page_size(), request->page_token(),
           [&](const v1::Stream& stream) { *response->add_streams() = stream; }));
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::UpdateStream(grpc::ServerContext*,
                                            const v1::UpdateStreamRequest* request,
                                            v1::UpdateStreamResponse* response) {
  if (!failure.ok()) return failure;
  if (!on_update.ok()) return on_update;
  updated = *request;
  const auto it = streams.find(request->stream());
  if (it == streams.end()) return NoStream(request->stream());
  if (!request->etag().empty() && request->etag() != it->second.etag()) {
    return LowmarkError(grpc::StatusCode::ABORTED, "ETAG_MISMATCH",
                        "the stream was changed since it was read");
  }
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(request->config(), request->update_mask(),
                                                        {}, it->second.mutable_config());
  *response->mutable_stream() = it->second;
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::DeleteStream(grpc::ServerContext*,
                                            const v1::DeleteStreamRequest* request,
                                            v1::DeleteStreamResponse*) {
  if (!failure.ok()) return failure;
  if (streams.erase(request->stream()) == 0) return NoStream(request->stream());
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::GetShard(grpc::ServerContext*, const v1::GetShardRequest* request,
                                        v1::GetShardResponse* response) {
  if (!failure.ok()) return failure;
  for (const v1::Shard& shard : shards) {
    if (shard.shard() != request->shard()) continue;
    *response->mutable_shard() = shard;
    return grpc::Status::OK;
  }
  return LowmarkError(grpc::StatusCode::NOT_FOUND, "SHARD_NOT_FOUND",
                      absl::StrCat("the stream \"", request->stream(), "\" has no shard \"",
                                   request->shard(), "\""));
}

grpc::Status FakeAdminService::ListShards(grpc::ServerContext*,
                                          const v1::ListShardsRequest* request,
                                          v1::ListShardsResponse* response) {
  if (!failure.ok()) return failure;
  if (streams.count(request->stream()) == 0) return NoStream(request->stream());
  page_sizes.push_back(request->page_size());
  response->set_next_page_token(
      Page(shards, request->page_size(), request->page_token(),
           [&](const v1::Shard& shard) { *response->add_shards() = shard; }));
  if (!shards_trouble.message().empty()) *response->mutable_trouble() = shards_trouble;
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::SeekShard(grpc::ServerContext*, const v1::SeekShardRequest* request,
                                         v1::SeekShardResponse* response) {
  if (!failure.ok()) return failure;
  sought = *request;
  *response->mutable_before() = shards.front();
  v1::Shard& after = *response->mutable_after();
  after = shards.front();
  *after.mutable_checkpoint() = request->position();
  after.set_status(v1::SHARD_STATUS_FREE);
  after.clear_owner();
  after.set_epoch(after.epoch() + 1);
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::ListWorkers(grpc::ServerContext*,
                                           const v1::ListWorkersRequest* request,
                                           v1::ListWorkersResponse* response) {
  if (!failure.ok()) return failure;
  if (streams.count(request->stream()) == 0) return NoStream(request->stream());
  page_sizes.push_back(request->page_size());
  response->set_next_page_token(
      Page(workers, request->page_size(), request->page_token(),
           [&](const v1::Worker& worker) { *response->add_workers() = worker; }));
  return grpc::Status::OK;
}

grpc::Status FakeAdminService::CordonWorker(grpc::ServerContext*,
                                            const v1::CordonWorkerRequest* request,
                                            v1::CordonWorkerResponse* response) {
  return ChangeWorker(request->stream(), request->worker(), v1::WORKER_STATUS_CORDONED,
                      *response->mutable_worker());
}

grpc::Status FakeAdminService::UncordonWorker(grpc::ServerContext*,
                                              const v1::UncordonWorkerRequest* request,
                                              v1::UncordonWorkerResponse* response) {
  return ChangeWorker(request->stream(), request->worker(), v1::WORKER_STATUS_LIVE,
                      *response->mutable_worker());
}

grpc::Status FakeAdminService::DrainWorker(grpc::ServerContext*,
                                           const v1::DrainWorkerRequest* request,
                                           v1::DrainWorkerResponse* response) {
  return ChangeWorker(request->stream(), request->worker(), v1::WORKER_STATUS_DRAINING,
                      *response->mutable_worker());
}

grpc::Status FakeAdminService::ChangeWorker(const std::string& stream, const std::string& worker,
                                            v1::WorkerStatus status, v1::Worker& changed) {
  if (!failure.ok()) return failure;
  if (streams.count(stream) == 0) return NoStream(stream);
  for (v1::Worker& each : workers) {
    if (each.worker() != worker) continue;
    // A cordon leaves a drain alone.
    if (each.status() != v1::WORKER_STATUS_DRAINING || status == v1::WORKER_STATUS_LIVE) {
      each.set_status(status);
    }
    changed = each;
    return grpc::Status::OK;
  }
  return LowmarkError(grpc::StatusCode::NOT_FOUND, "WORKER_NOT_FOUND",
                      absl::StrCat("the stream \"", stream, "\" has no worker \"", worker, "\""));
}

grpc::Status FakeAdminService::GetDeadLetter(grpc::ServerContext*,
                                             const v1::GetDeadLetterRequest* request,
                                             v1::GetDeadLetterResponse* response) {
  if (!failure.ok()) return failure;
  for (const v1::DeadLetter& letter : dead_letters) {
    if (letter.id() != request->id()) continue;
    *response->mutable_dead_letter() = letter;
    return grpc::Status::OK;
  }
  return LowmarkError(grpc::StatusCode::NOT_FOUND, "DEAD_LETTER_NOT_FOUND",
                      absl::StrCat("there is no dead letter \"", request->id(), "\""));
}

grpc::Status FakeAdminService::ListDeadLetters(grpc::ServerContext*,
                                               const v1::ListDeadLettersRequest* request,
                                               v1::ListDeadLettersResponse* response) {
  if (!failure.ok()) return failure;
  std::vector<v1::DeadLetter> chosen;
  for (v1::DeadLetter letter : dead_letters) {
    if (!request->shard().empty() && letter.shard() != request->shard()) continue;
    letter.clear_records();
    chosen.push_back(letter);
  }
  response->set_next_page_token(
      Page(chosen, request->page_size(), request->page_token(),
           [&](const v1::DeadLetter& letter) { *response->add_dead_letters() = letter; }));
  return grpc::Status::OK;
}

}  // namespace lowmark
