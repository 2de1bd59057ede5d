#include "service/rpc/scaler_service.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

// KEDA asks for metrics by these names.
constexpr char kShards[] = "lowmark-shards-with-work";
constexpr char kLagAge[] = "lowmark-lag-age-seconds";

void AddSpec(const char* name, double target, externalscaler::GetMetricSpecResponse* response) {
  externalscaler::MetricSpec* spec = response->add_metricspecs();
  spec->set_metricname(name);
  spec->set_targetsize(static_cast<int64_t>(std::ceil(target)));
  spec->set_targetsizefloat(target);
}

void AddValue(const std::string& name, double value, externalscaler::GetMetricsResponse* response) {
  externalscaler::MetricValue* metric = response->add_metricvalues();
  metric->set_metricname(name);
  metric->set_metricvalue(static_cast<int64_t>(std::ceil(value)));
  metric->set_metricvaluefloat(value);
}

}  // namespace

// Says what it is told, where that is another than it said last.
class ScalerServiceImpl::Subscriber
    : public grpc::ServerWriteReactor<externalscaler::IsActiveResponse> {
 public:
  Subscriber(ScalerServiceImpl& service, absl::StatusOr<ScalerMetadata> metadata)
      : service_(service), metadata_(std::move(metadata)) {}

  // Valid until it has ended.
  const ScalerMetadata& metadata() const { return *metadata_; }

  void Begin(std::shared_ptr<Subscriber> self) { self_ = std::move(self); }

  void Tell(bool active) {
    MutexLock lock(mutex_);
    wanted_ = active;
    Write();
  }

  // Once what is being written is.
  void End(const absl::Status& status) {
    MutexLock lock(mutex_);
    if (ended_ || end_) return;
    end_ = ToGrpc(status);
    Write();
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok && !end_) end_ = grpc::Status::CANCELLED;
    Write();
  }

  void OnCancel() override { End(absl::CancelledError("the caller is gone")); }

  void OnDone() override {
    const auto self = std::move(self_);  // this ends with it
    service_.Remove(self);
  }

 private:
  void Write() LOWMARK_REQUIRES(mutex_) {
    if (writing_ || ended_) return;
    if (end_) {
      ended_ = true;
      Finish(*end_);
    } else if (wanted_ && wanted_ != said_) {
      said_ = wanted_;
      writing_ = true;
      response_.set_result(*wanted_);
      StartWrite(&response_);
    }
  }

  ScalerServiceImpl& service_;
  const absl::StatusOr<ScalerMetadata> metadata_;
  std::shared_ptr<Subscriber> self_;
  Mutex mutex_;
  externalscaler::IsActiveResponse response_ LOWMARK_GUARDED_BY(mutex_);
  std::optional<bool> wanted_ LOWMARK_GUARDED_BY(mutex_);
  std::optional<bool> said_ LOWMARK_GUARDED_BY(mutex_);
  std::optional<grpc::Status> end_ LOWMARK_GUARDED_BY(mutex_);
  bool writing_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool ended_ LOWMARK_GUARDED_BY(mutex_) = false;
};

ScalerServiceImpl::ScalerServiceImpl(Coordinator& coordinator, absl::Duration look_interval)
    : coordinator_(coordinator), look_interval_(look_interval), thread_([this] { Loop(); }) {}

ScalerServiceImpl::~ScalerServiceImpl() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

grpc::Status ScalerServiceImpl::IsActive(grpc::ServerContext*,
                                         const externalscaler::ScaledObjectRef* request,
                                         externalscaler::IsActiveResponse* response) {
  auto metadata = ParseScalerMetadata(request->scalermetadata());
  if (!metadata.ok()) return ToGrpc(metadata.status());
  auto load = coordinator_.ReadWorkload(metadata->stream);
  if (load.ok()) response->set_result(NeedOf(*load, metadata->rule).active);
  return ToGrpc(load.status());
}

grpc::Status ScalerServiceImpl::GetMetricSpec(grpc::ServerContext*,
                                              const externalscaler::ScaledObjectRef* request,
                                              externalscaler::GetMetricSpecResponse* response) {
  auto metadata = ParseScalerMetadata(request->scalermetadata());
  if (!metadata.ok()) return ToGrpc(metadata.status());
  AddSpec(kShards, metadata->shards_per_worker, response);
  if (metadata->target_lag_age) {
    AddSpec(kLagAge, absl::ToDoubleSeconds(*metadata->target_lag_age), response);
  }
  return grpc::Status::OK;
}

grpc::Status ScalerServiceImpl::GetMetrics(grpc::ServerContext*,
                                           const externalscaler::GetMetricsRequest* request,
                                           externalscaler::GetMetricsResponse* response) {
  auto metadata = ParseScalerMetadata(request->scaledobjectref().scalermetadata());
  if (!metadata.ok()) return ToGrpc(metadata.status());
  const bool lag = request->metricname() == kLagAge && metadata->target_lag_age;
  if (!lag && request->metricname() != kShards) {
    return ToGrpc(
        InvalidField("metricName", request->metricname(),
                     absl::StrCat("must be ", kShards, ", or with targetLagAge ", kLagAge)));
  }
  auto load = coordinator_.ReadWorkload(metadata->stream);
  if (!load.ok()) return ToGrpc(load.status());
  const ScaleNeed need = NeedOf(*load, metadata->rule);
  const auto shards = static_cast<double>(need.shards);
  if (!lag) {
    AddValue(kShards, shards, response);
  } else {
    // A worker more than there are shards with work would have nothing to do.
    AddValue(kLagAge,
             std::min(absl::ToDoubleSeconds(need.lag_age),
                      shards * absl::ToDoubleSeconds(*metadata->target_lag_age)),
             response);
  }
  return grpc::Status::OK;
}

grpc::ServerWriteReactor<externalscaler::IsActiveResponse>* ScalerServiceImpl::StreamIsActive(
    grpc::CallbackServerContext*, const externalscaler::ScaledObjectRef* request) {
  auto metadata = ParseScalerMetadata(request->scalermetadata());
  const absl::Status status = metadata.status();
  auto subscriber = std::make_shared<Subscriber>(*this, std::move(metadata));
  Subscriber* reactor = subscriber.get();
  subscriber->Begin(subscriber);
  bool ending = false;
  {
    MutexLock lock(mutex_);
    ending = ending_;
    if (status.ok() && !ending) {
      subscribers_.insert(std::move(subscriber));
      look_ = true;
    }
  }
  if (!status.ok()) {
    reactor->End(status);
  } else if (ending) {
    reactor->End(Unavailable("the coordinator stops"));
  } else {
    changed_.NotifyAll();
  }
  return reactor;
}

void ScalerServiceImpl::Remove(const std::shared_ptr<Subscriber>& subscriber) {
  MutexLock lock(mutex_);
  subscribers_.erase(subscriber);
}

void ScalerServiceImpl::EndStreams() {
  std::set<std::shared_ptr<Subscriber>> open;
  {
    MutexLock lock(mutex_);
    ending_ = true;
    open = subscribers_;
  }
  // In order, for KEDA: it opens another one, elsewhere.
  for (const auto& subscriber : open) subscriber->End(absl::OkStatus());
}

void ScalerServiceImpl::Loop() {
  while (true) {
    std::set<std::shared_ptr<Subscriber>> open;
    {
      MutexLock lock(mutex_);
      const SteadyTime next = SteadyDeadline(look_interval_);
      while (!stopping_ && !look_) {
        if (subscribers_.empty()) {
          changed_.Wait(mutex_);
        } else if (!changed_.WaitUntil(mutex_, next)) {
          break;
        }
      }
      if (stopping_) return;
      look_ = false;
      open = subscribers_;
    }
    // Each stream once: reading it reads all of its shards.
    std::map<std::string, absl::StatusOr<Workload>> loads;
    for (const auto& subscriber : open) {
      const ScalerMetadata& metadata = subscriber->metadata();
      auto found = loads.find(metadata.stream);
      if (found == loads.end()) {
        found = loads.emplace(metadata.stream, coordinator_.ReadWorkload(metadata.stream)).first;
      }
      const absl::StatusOr<Workload>& load = found->second;
      if (load.ok()) {
        subscriber->Tell(NeedOf(*load, metadata.rule).active);
      } else if (!absl::IsUnavailable(load.status())) {
        subscriber->End(load.status());
      }
    }
  }
}

}  // namespace lowmark
