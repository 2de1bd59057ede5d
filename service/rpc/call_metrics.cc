#include "service/rpc/call_metrics.h"

#include <google/protobuf/descriptor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/histogram.h"

namespace lowmark {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr char kOther[] = "_other";

// By code, in the spelling of gRPC for Go.
constexpr std::array<const char*, 17> kCodes = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

// Reports take milliseconds, long polls up to a minute.
const Histogram::BucketBoundaries kSeconds = {.001, .0025, .005, .01, .025, .05, .1, .25,
                                              .5,   1,     2.5,  5,   10,   30,  60};

Family<Counter>& AddCounter(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

const char* TypeOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? "bidi_stream" : "client_stream";
  }
  return method.server_streaming() ? "server_stream" : "unary";
}

}  // namespace

struct CallMetrics::Families {
  explicit Families(Registry& registry)
      : started(AddCounter(registry, "grpc_server_started_total",
                           "Calls that came; those without an end yet included.")),
        handled(AddCounter(registry, "grpc_server_handled_total",
                           "Calls that were answered, by status code.")),
        received(AddCounter(registry, "grpc_server_msg_received_total",
                            "Messages received that could be read.")),
        sent(AddCounter(registry, "grpc_server_msg_sent_total", "Messages sent.")),
        seconds(prometheus::BuildHistogram()
                    .Name("grpc_server_handling_seconds")
                    .Help("Time from a call's start to its status. LeaseShard waits for a free "
                          "shard: leave it out of what says how fast the server is.")
                    .Register(registry)) {}

  Family<Counter>& started;
  Family<Counter>& handled;
  Family<Counter>& received;
  Family<Counter>& sent;
  Family<Histogram>& seconds;
};

// A method's series, looked up once.
struct CallMetrics::Method {
  Method(Families& families, const Labels& labels)
      : started(families.started.Add(labels)),
        received(families.received.Add(labels)),
        sent(families.sent.Add(labels)),
        seconds(families.seconds.Add(labels, kSeconds)) {
    for (size_t code = 0; code < kCodes.size(); ++code) {
      Labels all = labels;
      all["grpc_code"] = kCodes[code];
      handled[code] = &families.handled.Add(all);
    }
  }

  Counter& started;
  Counter& received;
  Counter& sent;
  Histogram& seconds;
  std::array<Counter*, kCodes.size()> handled{};
};

// One call, from its start to its status. gRPC asks it at each step; the two directions
// of a stream do so at the same time.
class CallMetrics::Call : public grpc::experimental::Interceptor {
 public:
  explicit Call(Method& method) : method_(method), start_(std::chrono::steady_clock::now()) {
    method_.started.Increment();
  }
  // Without a status the call was cut off.
  ~Call() override { End(grpc::StatusCode::CANCELLED); }

  void Intercept(InterceptorBatchMethods* step) override {
    if (step->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        step->GetRecvMessage() != nullptr) {
      method_.received.Increment();
    }
    if (step->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      method_.sent.Increment();
    }
    if (step->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      End(step->GetSendStatus().error_code());
    }
    step->Proceed();
  }

 private:
  void End(grpc::StatusCode code) {
    if (ended_.exchange(true)) return;
    const bool known = code >= 0 && static_cast<size_t>(code) < kCodes.size();
    method_.handled[known ? code : grpc::StatusCode::UNKNOWN]->Increment();
    method_.seconds.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }

  Method& method_;
  const SteadyTime start_;
  std::atomic<bool> ended_ = false;
};

class CallMetrics::Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallMetrics& metrics) : metrics_(metrics) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new Call(metrics_.Find(info->method()));  // gRPC's to delete
  }

 private:
  CallMetrics& metrics_;
};

CallMetrics::CallMetrics(Registry& registry, const std::vector<std::string>& services) {
  Families families(registry);
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const std::string& name : services) {
    const auto* service = pool->FindServiceByName(name);
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      Add(families, name, service->method(i)->name(), TypeOf(*service->method(i)));
    }
  }
  // gRPC's own.
  Add(families, "grpc.health.v1.Health", "Check", "unary");
  Add(families, "grpc.health.v1.Health", "Watch", "server_stream");
  Add(families, "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", "bidi_stream");
  Add(families, kOther, kOther, kOther);
  other_ = methods_.at(absl::StrCat("/", kOther, "/", kOther)).get();
}

CallMetrics::~CallMetrics() = default;

void CallMetrics::Add(Families& families, const std::string& service, const std::string& method,
                      const std::string& type) {
  const Labels labels = {{"grpc_service", service}, {"grpc_method", method}, {"grpc_type", type}};
  methods_[absl::StrCat("/", service, "/", method)] = std::make_unique<Method>(families, labels);
}

CallMetrics::Method& CallMetrics::Find(const char* path) {
  const auto found = methods_.find(absl::string_view(path));
  return found == methods_.end() ? *other_ : *found->second;
}

void CallMetrics::AddTo(grpc::ServerBuilder& builder) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>(*this));
  builder.experimental().SetInterceptorCreators(std::move(factories));
}

}  // namespace lowmark
