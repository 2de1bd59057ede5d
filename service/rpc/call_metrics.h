// What a gRPC server's calls tell Prometheus, under the names that go-grpc-prometheus
// gave them and that dashboards know: grpc_server_started_total, _handled_total,
// _handling_seconds, _msg_received_total and _msg_sent_total.
//
//   CallMetrics calls(registry, {v1::AdminService::service_full_name()});
//   calls.AddTo(builder);
//
// A call counts as started when the server has its request's headers, and as handled
// when its status is given: what it waited for before, as a long poll does, is in its
// time. All series are there from the start on. Methods that the server does not have
// are counted together as "_other": a label never holds what a client made up.
#ifndef LOWMARK_SERVICE_RPC_CALL_METRICS_H_
#define LOWMARK_SERVICE_RPC_CALL_METRICS_H_

#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "prometheus/registry.h"

namespace lowmark {

// Thread-safe. A call takes no lock but that of its method's histogram.
class CallMetrics {
 public:
  // Registers all families; the registry must outlive this. `services`: those of the
  // server, as "lowmark.v1.AdminService"; health and reflection are always among them.
  CallMetrics(prometheus::Registry& registry, const std::vector<std::string>& services);
  ~CallMetrics();

  // Has the calls of the server that is built counted. This must outlive the server, and
  // the builder have no other interceptors.
  void AddTo(grpc::ServerBuilder& builder);

 private:
  struct Families;
  struct Method;
  class Call;
  class Factory;

  void Add(Families& families, const std::string& service, const std::string& method,
           const std::string& type);
  Method& Find(const char* path);

  // By path, as "/lowmark.v1.AdminService/GetStream"; never changed once this is made.
  absl::flat_hash_map<std::string, std::unique_ptr<Method>> methods_;
  Method* other_ = nullptr;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CALL_METRICS_H_
