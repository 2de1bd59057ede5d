#include "tests/conformance/real_shard.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"
#include "service/rpc/status.h"

namespace lowmark::conformance {
namespace {

constexpr char kShard[] = "shard-0";
// For one answer, and for a shard to become free.
constexpr absl::Duration kPatience = absl::Seconds(30);

// Calls until there is an answer: the coordinator may be restarting.
template <typename Stub, typename Request, typename Response>
absl::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response& response, absl::Duration patience = kPatience) {
  const auto deadline = std::chrono::system_clock::now() + absl::ToChronoMilliseconds(patience);
  for (;;) {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    context.set_wait_for_ready(true);
    response.Clear();
    const absl::Status status = FromGrpc((stub.*method)(&context, request, &response));
    if (!absl::IsUnavailable(status)) return status;
    if (std::chrono::system_clock::now() >= deadline) return status;
  }
}

// Tells proto which outcome an event is.
struct WriteOutcome {
  v1::ReportBatchRequest& request;

  void Summarise(const std::vector<std::string>& sequences) const {
    request.set_record_count(static_cast<int32_t>(sequences.size()));
    if (sequences.empty()) return;
    request.set_first_sequence(sequences.front());
    request.set_last_sequence(sequences.back());
  }
  template <typename Message>
  void List(const std::vector<std::string>& sequences, Message* message) const {
    Summarise(sequences);
    for (const std::string& sequence : sequences) message->add_sequences(sequence);
  }

  void operator()(const Succeeded& event) const {
    request.set_first_sequence(event.first);
    request.set_last_sequence(event.last);
    request.set_record_count(event.count);
    request.mutable_success()->set_shard_end(event.shard_end);
  }
  void operator()(const Failed& event) const {
    v1::BatchFailure* failure = request.mutable_failure();
    List(event.sequences, failure);
    for (const std::string& failed : event.failed) failure->add_failed_sequences(failed);
    failure->set_error_type(event.error_type);
    failure->set_error_message(event.error_message);
  }
  void operator()(const SetAside& event) const {
    v1::BatchSetAside* set_aside = request.mutable_set_aside();
    List(event.sequences, set_aside);
    set_aside->set_count(event.count);
    set_aside->set_condition(ToProto(event.condition));
    set_aside->set_error_message(event.error_message);
  }
  void operator()(const NotRun&) const { request.mutable_not_run(); }
  void operator()(const Started& event) const { List(event.sequences, request.mutable_started()); }
  void operator()(const Resolved& event) const {
    ToProto(event.position, request.mutable_resolved()->mutable_position());
  }
  // No reports; they leave the outcome unset.
  void operator()(const Granted&) const {}
  void operator()(const Released&) const {}
  void operator()(const Sought&) const {}
};

}  // namespace

RealShard::RealShard(Servers& servers, std::string stream)
    : servers_(servers),
      stream_(std::move(stream)),
      coordinator_(v1::CoordinatorService::NewStub(servers.channel())),
      admin_(v1::AdminService::NewStub(servers.channel())) {}

absl::Status RealShard::Create(const Policy& policy) {
  order_ = policy.sequence_order;
  paused_ = policy.paused;
  v1::CreateStreamRequest request;
  v1::CreateStreamResponse response;
  request.set_stream(stream_);
  ToProto(policy, request.mutable_config());
  if (auto s = Call(*admin_, &v1::AdminService::Stub::CreateStream, request, response); !s.ok()) {
    return s;
  }
  // The first call for leases opens the session that SyncShards asks for; it is
  // answered at once, though on a busy machine not always in time.
  const absl::Time deadline = absl::Now() + kPatience;
  for (;;) {
    if (auto leases = TryLease(absl::Seconds(1)); !leases.ok()) return leases.status();
    absl::Status synced = SyncShard();
    if (Reason(synced) != kSessionExpired || absl::Now() > deadline) return synced;
    ++workers_;
  }
}

absl::Status RealShard::SyncShard() {
  v1::SyncShardsRequest request;
  v1::SyncShardsResponse response;
  request.set_stream(stream_);
  request.set_worker(Worker());
  request.add_shards()->set_shard(kShard);
  return Call(*coordinator_, &v1::CoordinatorService::Stub::SyncShards, request, response);
}

absl::StatusOr<v1::LeaseShardResponse> RealShard::TryLease(absl::Duration wait) {
  v1::LeaseShardRequest request;
  v1::LeaseShardResponse response;
  request.set_stream(stream_);
  request.set_worker(Worker());
  request.set_max_leases(1);
  absl::Status status =
      Call(*coordinator_, &v1::CoordinatorService::Stub::LeaseShard, request, response, wait);
  // An answer that comes too late is as good as an empty one: what it granted is
  // granted again.
  if (absl::IsDeadlineExceeded(status)) return v1::LeaseShardResponse();
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<std::optional<Current>> RealShard::Lease() {
  const absl::Time deadline = absl::Now() + (paused_ ? absl::ZeroDuration() : kPatience);
  do {
    auto response = TryLease(paused_ ? absl::Milliseconds(300) : absl::Seconds(5));
    if (Reason(response.status()) == kSessionExpired) {
      ++workers_;
      continue;
    }
    if (!response.ok()) return response.status();
    for (const v1::Lease& lease : response->leases()) {
      auto current = Read(lease.epoch(), lease.delivery());
      if (!current.ok()) return current.status();
      return *std::move(current);
    }
  } while (absl::Now() < deadline);
  return std::nullopt;
}

absl::StatusOr<Current> RealShard::Report(const ShardReport& report) {
  v1::ReportBatchRequest request;
  v1::ReportBatchResponse response;
  request.set_stream(stream_);
  request.set_shard(kShard);
  request.set_worker(Worker());
  request.set_epoch(report.epoch);
  request.set_delivery(report.delivery);
  std::visit(WriteOutcome{request}, report.event);
  absl::Status status =
      Call(*coordinator_, &v1::CoordinatorService::Stub::ReportBatch, request, response);
  if (!status.ok()) return status;
  if (response.has_next()) return Read(report.epoch, response.next());
  Current done;
  done.epoch = report.epoch;
  done.done = true;
  return done;
}

absl::Status RealShard::Seek(const Position& position) {
  v1::SeekShardRequest request;
  v1::SeekShardResponse response;
  request.set_stream(stream_);
  request.set_shard(kShard);
  request.set_reason("a conformance case asks for it");
  ToProto(position, request.mutable_position());
  return Call(*admin_, &v1::AdminService::Stub::SeekShard, request, response);
}

absl::StatusOr<v1::Shard> RealShard::GetShard() {
  v1::GetShardRequest request;
  v1::GetShardResponse response;
  request.set_stream(stream_);
  request.set_shard(kShard);
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::GetShard, request, response);
  if (!status.ok()) return status;
  return response.shard();
}

absl::StatusOr<Position> RealShard::Checkpoint() {
  auto shard = GetShard();
  if (!shard.ok()) return shard.status();
  return PositionFromProto("checkpoint", shard->checkpoint(), order_);
}

absl::StatusOr<std::vector<DeadLetterRange>> RealShard::DeadLetters() {
  std::vector<DeadLetterRange> found;
  v1::ListDeadLettersRequest request;
  v1::ListDeadLettersResponse response;
  request.set_stream(stream_);
  request.set_shard(kShard);
  do {
    request.set_page_token(response.next_page_token());
    absl::Status status =
        Call(*admin_, &v1::AdminService::Stub::ListDeadLetters, request, response);
    if (!status.ok()) return status;
    for (const v1::DeadLetter& letter : response.dead_letters()) {
      auto condition = ConditionFromProto("condition", letter.condition());
      if (!condition.ok()) return condition.status();
      found.push_back({letter.first_sequence(), letter.last_sequence(), letter.record_count(),
                       *condition, letter.attempts(), letter.error_type(), letter.error_message()});
    }
  } while (!response.next_page_token().empty());
  return found;
}

absl::StatusOr<std::string> RealShard::Snapshot() {
  auto shard = GetShard();
  if (!shard.ok()) return shard.status();
  auto dead_letters = DeadLetters();
  if (!dead_letters.ok()) return dead_letters.status();
  return absl::StrCat(shard->ShortDebugString(), " dead letters: ", dead_letters->size());
}

std::string RealShard::Worker() const { return absl::StrCat(stream_, "-worker-", workers_); }

absl::StatusOr<Current> RealShard::Read(int64_t epoch, const v1::Delivery& delivery) const {
  auto start = PositionFromProto("delivery.start", delivery.start(), order_);
  if (!start.ok()) return start.status();
  auto delay = DurationFromProto("delivery.delay", delivery.delay());
  if (!delay.ok()) return delay.status();
  Current current;
  current.epoch = epoch;
  current.delivery = delivery.delivery();
  current.batch_id = delivery.batch_id();
  current.start = *std::move(start);
  current.end_sequence = delivery.end_sequence();
  current.max_records = delivery.max_records();
  current.backoff = *delay > absl::ZeroDuration();
  current.declare = delivery.declare();
  return current;
}

}  // namespace lowmark::conformance
