#include "tests/service/cli/cli_fixture.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "service/process/child_process.h"

namespace lowmark {
namespace {

template <typename Message>
Message FromJson(const std::string& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return message;
}

v1::Stream OrdersStream() {
  return FromJson<v1::Stream>(R"({
    "name": "orders", "etag": "e1",
    "createTime": "2026-01-31T12:00:00Z", "updateTime": "2026-02-01T08:30:00.250Z",
    "config": {
      "batchSize": 100, "maximumBatchingWindow": "0s", "maximumBatchBytes": "6291456",
      "startingPosition": {"trimHorizon": {}}, "reportBatchItemFailures": true,
      "bisectBatchOnFailure": true, "maximumRetryAttempts": 10, "maximumRecordAge": "-1s",
      "discardScope": "DISCARD_SCOPE_RECORD",
      "retryBackoff": {"initial": "0.200s", "multiplier": 2, "maximum": "60s", "jitter": 0.2},
      "maximumLostDeliveries": 3, "handlerTimeout": "60s", "handoffTimeout": "30s",
      "sequenceOrder": "SEQUENCE_ORDER_NUMERIC", "paused": false, "frozen": false,
      "balanceBy": "BALANCE_BY_SHARDS"}})");
}

v1::Stream PaymentsStream() {
  v1::Stream stream = OrdersStream();
  stream.set_name("payments.eu-west-1");
  stream.mutable_config()->set_paused(true);
  stream.mutable_config()->set_batch_size(1000);
  stream.mutable_config()->set_maximum_retry_attempts(-1);
  stream.mutable_config()->set_report_batch_item_failures(false);
  stream.mutable_config()->set_bisect_batch_on_failure(false);
  stream.mutable_config()->set_discard_scope(v1::DISCARD_SCOPE_BATCH);
  stream.mutable_config()->mutable_maximum_record_age()->set_seconds(86400);
  return stream;
}

std::vector<v1::Shard> SomeShards() {
  return {
      FromJson<v1::Shard>(R"({
        "stream": "orders", "shard": "shard-0", "status": "SHARD_STATUS_LEASED",
        "owner": "worker-7f9c", "epoch": "12", "checkpoint": {"atSequence": "4"},
        "endSequence": "10", "delivery": "57", "attempts": 2, "lostDeliveries": 1,
        "notBefore": "2026-01-31T12:00:01Z", "cause": "REDELIVERY_CAUSE_RETRY"})"),
      FromJson<v1::Shard>(R"({
        "stream": "orders", "shard": "shardId-000000000001", "status": "SHARD_STATUS_FREE",
        "epoch": "3", "delivery": "9",
        "checkpoint": {"afterSequence": "49590338271490256608559692538361571095921575989136588898"}})"),
      FromJson<v1::Shard>(R"({
        "stream": "orders", "shard": "shardId-000000000002", "status": "SHARD_STATUS_WAITING",
        "checkpoint": {"trimHorizon": {}}, "parents": ["shard-0", "shardId-000000000001"],
        "parentsLeft": 2})"),
  };
}

std::vector<v1::Worker> SomeWorkers() {
  return {
      FromJson<v1::Worker>(R"({
        "stream": "orders", "worker": "worker-7f9c", "status": "WORKER_STATUS_LIVE",
        "capacity": 2, "heldShards": "12", "wantedShards": "1",
        "openTime": "2026-01-31T12:00:00.5Z", "expireTime": "2026-01-31T13:00:27.9Z",
        "expiresIn": "27.9s"})"),
      FromJson<v1::Worker>(R"({
        "stream": "orders", "worker": "worker-8aa0", "status": "WORKER_STATUS_LIVE",
        "probation": true, "capacity": 1, "heldShards": "1", "wantedShards": "100",
        "openTime": "2026-01-31T12:59:58Z", "expireTime": "2026-01-31T13:00:28Z",
        "expiresIn": "28s"})"),
      FromJson<v1::Worker>(R"({
        "stream": "orders", "worker": "worker-8aa1", "status": "WORKER_STATUS_ENDED",
        "capacity": 1, "openTime": "2026-01-31T10:00:00Z", "expireTime": "2026-01-31T11:00:00Z"})"),
  };
}

std::vector<v1::DeadLetter> SomeDeadLetters() {
  return {
      FromJson<v1::DeadLetter>(R"({
        "id": "17", "stream": "orders", "shard": "shard-0", "firstSequence": "4",
        "lastSequence": "6", "recordCount": 3, "attempts": 11,
        "condition": "DEAD_LETTER_CONDITION_RETRY_ATTEMPTS_EXHAUSTED",
        "errorType": "ValueError", "errorMessage": "cannot parse price\nTraceback: \u001b[31m...",
        "createTime": "2026-01-31T12:00:00Z", "worker": "worker-7f9c", "epoch": "12",
        "delivery": "56", "records": [
          {"sequence": "4", "partitionKey": "Y3VzdG9tZXItMQ==",
           "arrivalTime": "2026-01-31T11:59:58.123Z", "data": "eyJwcmljZSI6ICJuL2EifQ=="},
          {"sequence": "5", "partitionKey": "/w==", "data": "AP8bWzMxbQ=="}]})"),
      FromJson<v1::DeadLetter>(R"({
        "id": "18", "stream": "orders", "shard": "shardId-000000000001",
        "firstSequence": "49590338271490256608559692538361571095921575989136588898",
        "lastSequence": "49590338271490256608559692538361571095921575989136588898",
        "recordCount": 1, "condition": "DEAD_LETTER_CONDITION_RECORD_TOO_LARGE",
        "createTime": "2026-01-31T12:00:05.5Z", "epoch": "3", "delivery": "9"})"),
  };
}

}  // namespace

CliTest::CliTest() {
  server.streams["orders"] = OrdersStream();
  server.streams["payments.eu-west-1"] = PaymentsStream();
  server.shards = SomeShards();
  server.workers = SomeWorkers();
  server.dead_letters = SomeDeadLetters();
  std::string directory = testing::TempDir() + "cli-XXXXXX";
  directory_ = mkdtemp(directory.data());
  environment.emplace_back("LOWMARK_COORDINATOR", server.address());
}

CliTest::~CliTest() { std::filesystem::remove_all(directory_); }

int CliTest::Run(std::vector<std::string> arguments) {
  ProcessOptions options = {.argv = std::move(arguments), .env = environment};
  options.argv.insert(options.argv.begin(), LOWMARK);
  out.clear();
  options.out = Output::Pipe();
  options.err = Output::File(directory_ + "/err");
  std::filesystem::remove(directory_ + "/err");
  auto process = ChildProcess::Start(options);
  if (!process.ok()) {
    ADD_FAILURE() << process.status();
    return -1;
  }
  while (true) {
    auto line = (*process)->ReadLine(absl::Seconds(60));
    if (!line.ok()) break;
    absl::StrAppend(&out, *line, "\n");
  }
  const auto exit = (*process)->Wait(absl::Seconds(60));
  std::stringstream text;
  text << std::ifstream(directory_ + "/err").rdbuf();
  err = text.str();
  return exit ? exit->code : -1;
}

std::string CliTest::Fails(int code, const std::vector<std::string>& arguments) {
  EXPECT_EQ(Run(arguments), code) << err;
  EXPECT_THAT(out, testing::IsEmpty());
  EXPECT_THAT(err, testing::StartsWith("lowmark: "));
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  return err;
}

}  // namespace lowmark
