// For each method at least one request that is right in every field: what the
// hostile ones are made from.
#ifndef LOWMARK_TESTS_INTEGRATION_GOOD_REQUESTS_H_
#define LOWMARK_TESTS_INTEGRATION_GOOD_REQUESTS_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/integration/running_server.h"

namespace lowmark {

struct GoodRequest {
  std::string name;  // "ReportBatch/failure"
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::shared_ptr<google::protobuf::Message> request;
};

// What the good requests are about: stream "orders" with shard "1", leased to
// worker "w", at delivery 2 of records 2..3, and a dead letter of record 1; shard
// "2" is free; and stream "latest" with shard "1", leased to "w" at LATEST. Made through the
// server. Returns all good requests; each is good as the first one after this.
std::vector<GoodRequest> MakeGoodRequests(RunningServer& server);

// The methods of both services.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods();

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_GOOD_REQUESTS_H_
