// Requests to Kinesis are signed as npm's aws4 signs them.
#include <gmock/gmock.h>

#include "tests/e2e/kinesis_server.h"
#include "worker/source/kinesis/kinesis_source.h"

namespace lowmark {
namespace {

class KinesisSignature : public testing::Test {
 protected:
  KinesisSignature() {
    ProcessOptions server = NodeScript("signatures.js", {});
    server.out = Output::Pipe();
    auto process = ChildProcess::Start(server);
    EXPECT_TRUE(process.ok()) << process.status();
    if (!process.ok()) return;
    server_ = *std::move(process);
    auto url = server_->ReadLine(absl::Minutes(1));
    EXPECT_TRUE(url.ok()) << url.status();
    options_.stream = "orders";
    options_.region = "eu-central-1";
    options_.endpoint = url.value_or("");
    options_.access_key_id = "AKID";
    options_.secret_access_key = "SECRET";
  }

  absl::Status List() {
    auto source = KinesisSource::Create(options_);
    if (!source.ok()) return source.status();
    return (*source)->ListShards().status();
  }

  std::unique_ptr<ChildProcess> server_;
  KinesisSourceOptions options_;
};

TEST_F(KinesisSignature, IsRight) { EXPECT_EQ(List(), absl::OkStatus()); }

TEST_F(KinesisSignature, IsRightWithASessionToken) {
  options_.session_token = "Fwo+token/with=signs";
  EXPECT_EQ(List(), absl::OkStatus());
}

TEST_F(KinesisSignature, IsWrongWithAnotherSecretOrRegion) {
  options_.secret_access_key = "WRONG";
  EXPECT_EQ(List().code(), absl::StatusCode::kUnauthenticated);
  options_.secret_access_key = "SECRET";
  options_.region = "eu-west-1";
  EXPECT_EQ(List().code(), absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace lowmark
