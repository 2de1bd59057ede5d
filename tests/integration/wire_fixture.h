// A server on each kind of store, and short words for what the wire's tests do.
#ifndef LOWMARK_TESTS_INTEGRATION_WIRE_FIXTURE_H_
#define LOWMARK_TESTS_INTEGRATION_WIRE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/running_server.h"
#include "tests/integration/store_under_test.h"

namespace lowmark {

class WireTest : public testing::TestWithParam<StoreKind> {
 public:
  using Workers = v1::CoordinatorService::Stub;
  using Admin = v1::AdminService::Stub;

  // Tries again without a hint too seldom to help a test that needs one.
  static CoordinatorOptions Options() {
    CoordinatorOptions options = RunningServer::DefaultOptions();
    options.lease_retry = absl::Minutes(1);
    return options;
  }

  // A stream "s" with the given shards, and worker "w" with a session.
  void MakeStream(const std::vector<std::string>& shards, const v1::StreamConfig& config = {});
  void OpenSession(const std::string& worker);
  absl::Status Sync(const std::vector<std::string>& shards);

  absl::StatusOr<v1::LeaseShardResponse> Lease(const std::string& worker, int max_leases,
                                               int held = 0,
                                               absl::Duration timeout = absl::Seconds(30));
  absl::StatusOr<v1::ReportBatchResponse> Send(const v1::ReportBatchRequest& report);
  absl::Status Release(const std::string& shard, const std::string& worker, int64_t epoch);
  absl::StatusOr<v1::Stream> GetStream(const std::string& name = "s");
  v1::Shard GetShard(const std::string& shard);
  std::vector<v1::Worker> ListWorkers();
  // Calls CordonWorker, UncordonWorker or DrainWorker.
  template <typename Request, typename Response>
  absl::StatusOr<v1::Worker> Tell(grpc::Status (Admin::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                  const std::string& worker, const std::string& stream = "s") {
    Request request;
    request.set_stream(stream);
    request.set_worker(worker);
    Response response;
    if (auto s = Call(method, server_.admin(), request, &response); !s.ok()) return s;
    return response.worker();
  }

  // The outcome of records first..last, to be filled in.
  static v1::ReportBatchRequest Report(const v1::Lease& lease, int64_t delivery, int first,
                                       int last);
  // A success of them.
  static v1::ReportBatchRequest Success(const v1::Lease& lease, int64_t delivery, int first,
                                        int last);
  // The failure of some of them; of all where none is named.
  static v1::ReportBatchRequest Failure(const v1::Lease& lease, int64_t delivery, int first,
                                        int last, const std::vector<int>& failed = {});

 protected:
  explicit WireTest(const CoordinatorOptions& options = Options())
      : open_(GetParam().open()), server_(open_->store(), options) {}

  std::unique_ptr<OpenStore> open_;
  RunningServer server_;
};

// "AT 4", "AFTER 10", ...
std::string Text(const v1::Position& position);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_WIRE_FIXTURE_H_
