// An AdminService with canned state, in this process: enough of a coordinator for
// the command line to talk to over real gRPC. It keeps streams in memory as a
// coordinator would, pages lists, and answers errors with Lowmark's reasons.
#ifndef LOWMARK_TESTS_SERVICE_CLI_FAKE_ADMIN_SERVICE_H_
#define LOWMARK_TESTS_SERVICE_CLI_FAKE_ADMIN_SERVICE_H_

#include <grpcpp/server.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lowmark/v1/admin.grpc.pb.h"

namespace lowmark {

class FakeAdminService : public v1::AdminService::Service {
 public:
  // Serves on a free port of 127.0.0.1.
  FakeAdminService();
  ~FakeAdminService() override;

  std::string address() const;

  // The state. To be set while no call runs.
  std::map<std::string, v1::Stream> streams;
  std::vector<v1::Shard> shards;
  v1::Trouble shards_trouble;  // where it has a message
  std::vector<v1::Worker> workers;
  std::vector<v1::DeadLetter> dead_letters;
  // Where set, the answer to everything.
  grpc::Status failure;
  // Where set, the answer to updates.
  grpc::Status on_update;
  // The last requests.
  v1::CreateStreamRequest created;
  v1::UpdateStreamRequest updated;
  v1::SeekShardRequest sought;
  std::vector<int> page_sizes;

  grpc::Status CreateStream(grpc::ServerContext*, const v1::CreateStreamRequest*,
                            v1::CreateStreamResponse*) override;
  grpc::Status GetStream(grpc::ServerContext*, const v1::GetStreamRequest*,
                         v1::GetStreamResponse*) override;
  grpc::Status ListStreams(grpc::ServerContext*, const v1::ListStreamsRequest*,
                           v1::ListStreamsResponse*) override;
  grpc::Status UpdateStream(grpc::ServerContext*, const v1::UpdateStreamRequest*,
                            v1::UpdateStreamResponse*) override;
  grpc::Status DeleteStream(grpc::ServerContext*, const v1::DeleteStreamRequest*,
                            v1::DeleteStreamResponse*) override;
  grpc::Status GetShard(grpc::ServerContext*, const v1::GetShardRequest*,
                        v1::GetShardResponse*) override;
  grpc::Status ListShards(grpc::ServerContext*, const v1::ListShardsRequest*,
                          v1::ListShardsResponse*) override;
  grpc::Status SeekShard(grpc::ServerContext*, const v1::SeekShardRequest*,
                         v1::SeekShardResponse*) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse*) override;
  grpc::Status CordonWorker(grpc::ServerContext*, const v1::CordonWorkerRequest*,
                            v1::CordonWorkerResponse*) override;
  grpc::Status UncordonWorker(grpc::ServerContext*, const v1::UncordonWorkerRequest*,
                              v1::UncordonWorkerResponse*) override;
  grpc::Status DrainWorker(grpc::ServerContext*, const v1::DrainWorkerRequest*,
                           v1::DrainWorkerResponse*) override;
  grpc::Status GetDeadLetter(grpc::ServerContext*, const v1::GetDeadLetterRequest*,
                             v1::GetDeadLetterResponse*) override;
  grpc::Status ListDeadLetters(grpc::ServerContext*, const v1::ListDeadLettersRequest*,
                               v1::ListDeadLettersResponse*) override;

 private:
  // Gives a worker its new status.
  grpc::Status ChangeWorker(const std::string& stream, const std::string& worker,
                            v1::WorkerStatus status, v1::Worker& changed);

  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// An error as Lowmark sends it.
grpc::Status LowmarkError(grpc::StatusCode code, const std::string& reason,
                          const std::string& message);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SERVICE_CLI_FAKE_ADMIN_SERVICE_H_
