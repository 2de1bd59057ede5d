#include "worker/internal/coordinator_client.h"

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/channel.h"
#include "service/rpc/message_size.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

// Retries only what never reached a server or may be repeated; the call's
// deadline bounds them, and the worker's own retries come after it. A server that
// is about to stop cancels what reaches it before its client has heard of that.
constexpr char kServiceConfig[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "lowmark.v1.CoordinatorService"}],
    "retryPolicy": {
      "maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "1s",
      "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]
    }
  }]
})";

constexpr int kKeepaliveMs = 20000;
constexpr int kKeepaliveTimeoutMs = 5000;
constexpr int kReconnectMs = 5000;
// Addresses are looked up when a connection ended, no more often than this. gRPC's
// own 30 s are as long as a session lives: coordinators that were replaced one after
// the other would not be found before it ended.
constexpr int kLookUpMs = 1000;

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const ClientSecrets& secrets) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kLookUpMs);
  // Connections are not shared with other channels of the process, whose cancelled
  // or stuck calls would be felt here.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  return MakeChannel(GrpcTarget(address), secrets, arguments);
}

}  // namespace

std::string GrpcTarget(const std::string& address) {
  for (const char* scheme : {"dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:", "xds:"}) {
    if (absl::StartsWith(address, scheme)) return address;
  }
  return absl::StrCat("dns:///", address);
}

struct CoordinatorClient::Context : grpc::ClientContext {
  void Cancel() {
    cancelled = true;
    TryCancel();
  }
  bool cancelled = false;  // by the caller, on the loop
};

struct CoordinatorClient::AnyCall {
  virtual ~AnyCall() = default;
  std::shared_ptr<Context> context = std::make_shared<Context>();
  // What it was made on; there may be another meanwhile.
  std::shared_ptr<v1::CoordinatorService::Stub> stub;
};

template <typename Request, typename Response>
struct CoordinatorClient::Call : AnyCall {
  Request request;
  Response response;
  grpc::Status status;
  Callback<Response> callback;
};

CoordinatorClient::CoordinatorClient(const std::string& address, EventLoop& loop,
                                     std::shared_ptr<const ClientSecrets> secrets)
    : address_(address), loop_(loop), secrets_(std::move(secrets)) {
  Reconnect();
}

CoordinatorClient::~CoordinatorClient() {
  for (const auto& [key, call] : calls_) call->context->Cancel();
  MutexLock lock(mutex_);
  while (unanswered_ > 0) changed_.Wait(mutex_);
}

void CoordinatorClient::Reconnect() {
  stub_ = v1::CoordinatorService::NewStub(Connect(address_, *secrets_));
}

template <typename Request, typename Response, typename Start>
CoordinatorClient::Cancel CoordinatorClient::Run(const Request& request, absl::Duration timeout,
                                                 Callback<Response> callback, const Start& start) {
  auto owned = std::make_unique<Call<Request, Response>>();
  auto* call = owned.get();
  calls_.emplace(call, std::move(owned));
  call->stub = stub_;
  call->request = request;
  call->callback = std::move(callback);
  call->context->set_deadline(std::chrono::system_clock::now() +
                              absl::ToChronoMilliseconds(timeout));
  AddToken(*secrets_, *call->context);
  {
    MutexLock lock(mutex_);
    ++unanswered_;
  }
  start(call, [this, call](grpc::Status status) {
    call->status = std::move(status);
    loop_.Post([this, call] {
      const auto finished = Take(call);
      if (call->status.ok()) {
        call->callback(std::move(call->response));
      } else {
        call->callback(ErrorOf(*call));
      }
    });
    MutexLock lock(mutex_);
    --unanswered_;
    changed_.NotifyAll();
  });
  return [context = std::weak_ptr<Context>(call->context)] {
    if (const auto held = context.lock()) held->Cancel();
  };
}

template <typename Request, typename Response>
absl::Status CoordinatorClient::ErrorOf(const Call<Request, Response>& call) {
  absl::Status error = FromGrpc(call.status);
  if (!absl::IsCancelled(error) || call.context->cancelled) return error;
  return Unavailable(absl::StrCat("the coordinator stops: ", error.message()));
}

std::unique_ptr<CoordinatorClient::AnyCall> CoordinatorClient::Take(AnyCall* call) {
  return std::move(calls_.extract(call).mapped());
}

CoordinatorClient::Cancel CoordinatorClient::LeaseShard(const v1::LeaseShardRequest& request,
                                                        absl::Duration timeout,
                                                        Callback<v1::LeaseShardResponse> callback) {
  return Run(request, timeout, std::move(callback), [this](auto* call, auto done) {
    stub_->async()->LeaseShard(call->context.get(), &call->request, &call->response, done);
  });
}

CoordinatorClient::Cancel CoordinatorClient::ReportBatch(
    const v1::ReportBatchRequest& request, absl::Duration timeout,
    Callback<v1::ReportBatchResponse> callback) {
  return Run(request, timeout, std::move(callback), [this](auto* call, auto done) {
    stub_->async()->ReportBatch(call->context.get(), &call->request, &call->response, done);
  });
}

CoordinatorClient::Cancel CoordinatorClient::Heartbeat(const v1::HeartbeatRequest& request,
                                                       absl::Duration timeout,
                                                       Callback<v1::HeartbeatResponse> callback) {
  return Run(request, timeout, std::move(callback), [this](auto* call, auto done) {
    stub_->async()->Heartbeat(call->context.get(), &call->request, &call->response, done);
  });
}

CoordinatorClient::Cancel CoordinatorClient::ReleaseShard(
    const v1::ReleaseShardRequest& request, absl::Duration timeout,
    Callback<v1::ReleaseShardResponse> callback) {
  return Run(request, timeout, std::move(callback), [this](auto* call, auto done) {
    stub_->async()->ReleaseShard(call->context.get(), &call->request, &call->response, done);
  });
}

CoordinatorClient::Cancel CoordinatorClient::SyncShards(const v1::SyncShardsRequest& request,
                                                        absl::Duration timeout,
                                                        Callback<v1::SyncShardsResponse> callback) {
  return Run(request, timeout, std::move(callback), [this](auto* call, auto done) {
    stub_->async()->SyncShards(call->context.get(), &call->request, &call->response, done);
  });
}

}  // namespace lowmark
