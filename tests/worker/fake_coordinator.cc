#include "tests/worker/fake_coordinator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "service/core/step.h"
#include "service/rpc/convert.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

// How long a test waits for what must come; a hundred times what it takes.
constexpr absl::Duration kLongTime = absl::Seconds(30);

std::vector<std::string> ToVector(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

Event ToEvent(const v1::ReportBatchRequest& request) {
  switch (request.outcome_case()) {
    case v1::ReportBatchRequest::kSuccess:
      return Succeeded{request.first_sequence(), request.last_sequence(), request.record_count(),
                       request.success().shard_end()};
    case v1::ReportBatchRequest::kFailure:
      return Failed{ToVector(request.failure().sequences()),
                    ToVector(request.failure().failed_sequences()), request.failure().error_type(),
                    request.failure().error_message()};
    case v1::ReportBatchRequest::kSetAside:
      return SetAside{ToVector(request.set_aside().sequences()), request.set_aside().count(),
                      *ConditionFromProto("condition", request.set_aside().condition()),
                      request.set_aside().error_message()};
    case v1::ReportBatchRequest::kStarted:
      return Started{ToVector(request.started().sequences())};
    case v1::ReportBatchRequest::kResolved:
      return Resolved{
          *PositionFromProto("position", request.resolved().position(), SequenceOrder::kNumeric)};
    default:
      return NotRun{};
  }
}

}  // namespace

FakeCoordinator::FakeCoordinator(const Policy& policy, absl::Duration ttl)
    : ttl_(ttl), policy_(policy) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeCoordinator::~FakeCoordinator() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  server_->Shutdown(std::chrono::system_clock::now());
}

void FakeCoordinator::AddShard(const std::string& shard, const Position& position) {
  MutexLock lock(mutex_);
  Shard added = NewShard("s", shard, 0, false, policy_);
  added.state.position = position;
  shards_[shard] = added;
  changed_.NotifyAll();
}

void FakeCoordinator::AddUnknownLease(const std::string& shard) {
  MutexLock lock(mutex_);
  const Shard free = NewShard("s", shard, 0, false, policy_);
  shards_[shard] = Grant(free, *open_.begin(), 0, policy_, absl::Now(), 0.5)->shard;
}

void FakeCoordinator::SetPolicy(const Policy& policy) {
  MutexLock lock(mutex_);
  policy_ = policy;
  ++etag_;
}

void FakeCoordinator::Fail(const std::string& method, int times, const absl::Status& error,
                           bool applied) {
  MutexLock lock(mutex_);
  for (int i = 0; i < times; ++i) faults_[method].push_back({error, applied});
}

void FakeCoordinator::SetDown(bool down) {
  MutexLock lock(mutex_);
  down_ = down;
}

void FakeCoordinator::ExpireSessions() {
  MutexLock lock(mutex_);
  expired_.insert(open_.begin(), open_.end());
  for (auto& [id, shard] : shards_) {
    if (open_.count(shard.owner) > 0) shard = Vacate(shard);
  }
  open_.clear();
  changed_.NotifyAll();
}

void FakeCoordinator::TakeAway(const std::string& shard) {
  MutexLock lock(mutex_);
  Shard vacant = Vacate(shards_[shard]);
  auto granted = Grant(vacant, "another", 0, policy_, absl::Now(), 0.5);
  if (granted.ok()) shards_[shard] = granted->shard;
}

void FakeCoordinator::Garble(const std::string& shard, bool in_report) {
  MutexLock lock(mutex_);
  (in_report ? garbled_in_report_ : garbled_in_lease_).insert(shard);
}

void FakeCoordinator::Restore(const Shard& shard) {
  MutexLock lock(mutex_);
  shards_[shard.shard] = shard;
}

void FakeCoordinator::AskFor(const std::string& shard, bool in_report) {
  MutexLock lock(mutex_);
  (in_report ? asked_in_report_ : asked_in_heartbeat_).insert(shard);
}

void FakeCoordinator::SetElected(bool elected) {
  MutexLock lock(mutex_);
  elected_ = elected;
}

bool FakeCoordinator::Await(const std::function<bool()>& condition) {
  const SteadyTime deadline = SteadyDeadline(kLongTime);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    MutexLock lock(mutex_);
    // Conditions may be about more than this object.
    changed_.WaitFor(mutex_, absl::Milliseconds(5));
  }
  return true;
}

Shard FakeCoordinator::shard(const std::string& shard) {
  MutexLock lock(mutex_);
  auto found = shards_.find(shard);
  return found == shards_.end() ? Shard() : found->second;
}

std::vector<v1::ReportBatchRequest> FakeCoordinator::applied() {
  MutexLock lock(mutex_);
  return applied_;
}

int FakeCoordinator::calls(const std::string& method) {
  MutexLock lock(mutex_);
  return calls_[method];
}

std::set<std::string> FakeCoordinator::workers() {
  MutexLock lock(mutex_);
  std::set<std::string> all = open_;
  all.insert(expired_.begin(), expired_.end());
  return all;
}

std::vector<DeadLetterRange> FakeCoordinator::dead_letters() {
  MutexLock lock(mutex_);
  return dead_letters_;
}

std::vector<std::string> FakeCoordinator::synced() {
  MutexLock lock(mutex_);
  return synced_;
}

std::map<std::string, std::vector<std::string>> FakeCoordinator::listed_parents() {
  MutexLock lock(mutex_);
  return listed_parents_;
}

std::optional<v1::ShardStat> FakeCoordinator::stat(const std::string& shard) {
  MutexLock lock(mutex_);
  auto found = stats_.find(shard);
  return found == stats_.end() ? std::nullopt : std::optional(found->second);
}

v1::ListingStat FakeCoordinator::listing() {
  MutexLock lock(mutex_);
  return listing_;
}

int FakeCoordinator::told() {
  MutexLock lock(mutex_);
  return told_;
}

void FakeCoordinator::LoseStats() {
  MutexLock lock(mutex_);
  stats_.clear();
  listing_.Clear();
  ++stats_token_;
}

bool FakeCoordinator::released(const std::string& shard) {
  MutexLock lock(mutex_);
  return released_.count(shard) > 0 && shards_.at(shard).owner.empty();
}

bool FakeCoordinator::Reached(const std::string& id, const Position& position) {
  return shard(id).state.position == position;
}

grpc::Status FakeCoordinator::Serve(const std::string& method,
                                    const std::function<absl::Status()>& effect) {
  MutexLock lock(mutex_);
  ++calls_[method];
  changed_.NotifyAll();
  if (down_) return ToGrpc(Unavailable("down"));
  auto& faults = faults_[method];
  if (faults.empty()) return ToGrpc(effect());
  const Fault fault = faults.front();
  faults.pop_front();
  if (fault.applied) effect().IgnoreError();
  return ToGrpc(fault.error);
}

absl::Status FakeCoordinator::CheckSession(const std::string& worker) {
  if (open_.count(worker) > 0) return absl::OkStatus();
  return Aborted(kSessionExpired, "the session has ended");
}

grpc::Status FakeCoordinator::LeaseShard(grpc::ServerContext* context,
                                         const v1::LeaseShardRequest* request,
                                         v1::LeaseShardResponse* response) {
  const auto deadline = context->deadline() - std::chrono::milliseconds(200);
  return Serve("LeaseShard", [&]() LOWMARK_NO_THREAD_SAFETY_ANALYSIS -> absl::Status {
    if (expired_.count(request->worker()) > 0) return Aborted(kSessionExpired, "ended");
    const bool opens = open_.insert(request->worker()).second;
    ToProto(ttl_, response->mutable_session_ttl());
    response->set_sync_shards(elected_);
    const auto add = [&](const Shard& shard) LOWMARK_NO_THREAD_SAFETY_ANALYSIS {
      v1::Lease* lease = response->add_leases();
      lease->set_shard(shard.shard);
      lease->set_epoch(shard.epoch);
      ToProto(policy_, lease->mutable_config());
      lease->set_config_etag(absl::StrCat(etag_));
      ToProto(shard, CurrentDelivery(shard.state, policy_, absl::Now()), lease->mutable_delivery());
      if (garbled_in_lease_.erase(shard.shard) > 0) lease->mutable_delivery()->clear_start();
    };
    int held = 0;
    for (const auto& [id, shard] : shards_) held += shard.owner == request->worker() ? 1 : 0;
    if (held > request->held_leases()) {
      for (const auto& [id, shard] : shards_) {
        if (shard.owner == request->worker()) add(shard);
      }
    }
    while (!stopping_ && !context->IsCancelled() && expired_.count(request->worker()) == 0) {
      for (auto& [id, shard] : shards_) {
        if (!shard.leasable() || response->leases_size() >= request->max_leases()) continue;
        auto granted = Grant(shard, request->worker(), 0, policy_, absl::Now(), 0.5);
        if (!granted.ok()) return granted.status();
        dead_letters_.insert(dead_letters_.end(), granted->step.dead_letters.begin(),
                             granted->step.dead_letters.end());
        shard = granted->shard;
        add(shard);
      }
      if (opens || response->leases_size() > 0 || request->max_leases() == 0) break;
      if (std::chrono::system_clock::now() >= deadline) break;
      changed_.WaitFor(mutex_, absl::Milliseconds(20));
    }
    return absl::OkStatus();
  });
}

grpc::Status FakeCoordinator::ReportBatch(grpc::ServerContext*,
                                          const v1::ReportBatchRequest* request,
                                          v1::ReportBatchResponse* response) {
  return Serve("ReportBatch",
               [&]() LOWMARK_NO_THREAD_SAFETY_ANALYSIS { return Apply(*request, response); });
}

absl::Status FakeCoordinator::Apply(const v1::ReportBatchRequest& request,
                                    v1::ReportBatchResponse* response) {
  auto found = shards_.find(request.shard());
  if (found == shards_.end()) return ShardNotFound("s", request.shard());
  Shard& shard = found->second;
  auto kind = CheckReport(shard, request.worker(), request.epoch(), request.delivery());
  if (!kind.ok()) return kind.status();
  if (*kind == ReportKind::kCurrent) {
    auto step = Step(shard.state, policy_, ToEvent(request), absl::Now(), 0.5);
    if (!step.ok()) return step.status();
    shard.state = step->state;
    applied_.push_back(request);
    for (const auto& range : step->dead_letters) dead_letters_.push_back(range);
    response->set_discarded_records(static_cast<int32_t>(step->facts.discarded));
  }
  ToProto(shard.state.position, response->mutable_checkpoint());
  if (!shard.state.done()) {
    ToProto(shard, CurrentDelivery(shard.state, policy_, absl::Now()), response->mutable_next());
    if (garbled_in_report_.erase(shard.shard) > 0) response->mutable_next()->clear_start();
  } else {
    shard.owner.clear();
  }
  response->set_hand_over(asked_in_report_.erase(request.shard()) > 0);
  if (request.config_etag() != absl::StrCat(etag_)) {
    ToProto(policy_, response->mutable_config());
    response->set_config_etag(absl::StrCat(etag_));
  }
  return absl::OkStatus();
}

grpc::Status FakeCoordinator::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                        v1::HeartbeatResponse* response) {
  return Serve("Heartbeat", [&]() LOWMARK_NO_THREAD_SAFETY_ANALYSIS -> absl::Status {
    if (auto s = CheckSession(request->worker()); !s.ok()) return s;
    ToProto(ttl_, response->mutable_session_ttl());
    response->set_sync_shards(elected_);
    for (const std::string& shard : asked_in_heartbeat_) response->add_hand_over_shards(shard);
    for (const v1::ShardStat& stat : request->stats()) stats_[stat.shard()] = stat;
    if (request->has_listing()) listing_ = request->listing();
    told_ += request->stats_size() + (request->has_listing() ? 1 : 0);
    response->set_stats_token(stats_token_);
    return absl::OkStatus();
  });
}

grpc::Status FakeCoordinator::ReleaseShard(grpc::ServerContext*,
                                           const v1::ReleaseShardRequest* request,
                                           v1::ReleaseShardResponse*) {
  return Serve("ReleaseShard", [&]() LOWMARK_NO_THREAD_SAFETY_ANALYSIS -> absl::Status {
    auto shard = Release(shards_[request->shard()], request->worker(), request->epoch());
    if (!shard.ok()) return shard.status();
    shards_[request->shard()] = *shard;
    released_.insert(request->shard());
    asked_in_heartbeat_.erase(request->shard());
    return absl::OkStatus();
  });
}

grpc::Status FakeCoordinator::SyncShards(grpc::ServerContext*, const v1::SyncShardsRequest* request,
                                         v1::SyncShardsResponse* response) {
  return Serve("SyncShards", [&]() LOWMARK_NO_THREAD_SAFETY_ANALYSIS -> absl::Status {
    if (auto s = CheckSession(request->worker()); !s.ok()) return s;
    for (const v1::SourceShard& source : request->shards()) {
      if (shards_.count(source.shard()) > 0) continue;
      shards_[source.shard()] =
          NewShard("s", source.shard(), source.parents_size(), false, policy_);
      synced_.push_back(source.shard());
      auto& parents = listed_parents_[source.shard()];
      parents.assign(source.parents().begin(), source.parents().end());
      for (const std::string& parent : source.former_parents()) {
        parents.push_back("former " + parent);
      }
      response->set_added(response->added() + 1);
    }
    return absl::OkStatus();
  });
}

}  // namespace lowmark
