// The program `lowmark` against a coordinator's service over real gRPC: what it
// prints where, and how it exits.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/dev/child_process.h"
#include "tests/service/cli/fake_admin_service.h"

namespace lowmark {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

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
      "sequenceOrder": "SEQUENCE_ORDER_NUMERIC", "paused": false}})");
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

class CliTest : public testing::Test {
 protected:
  CliTest() {
    server.streams["orders"] = OrdersStream();
    server.streams["payments.eu-west-1"] = PaymentsStream();
    server.shards = SomeShards();
    server.dead_letters = SomeDeadLetters();
    std::string directory = testing::TempDir() + "cli-XXXXXX";
    directory_ = mkdtemp(directory.data());
    environment.emplace_back("LOWMARK_COORDINATOR", server.address());
  }
  ~CliTest() override { std::filesystem::remove_all(directory_); }

  // Runs `lowmark` with the arguments and returns its exit code.
  int Run(std::vector<std::string> arguments) {
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

  // Checks that a command fails with one line on standard error; returns that.
  std::string Fails(int code, const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(arguments), code) << err;
    EXPECT_THAT(out, IsEmpty());
    EXPECT_THAT(err, StartsWith("lowmark: "));
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    return err;
  }

  FakeAdminService server;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string out;
  std::string err;

 private:
  std::string directory_;
};

// What a person sees.

TEST_F(CliTest, ListsStreams) {
  EXPECT_EQ(Run({"streams", "list"}), 0) << err;
  EXPECT_EQ(out, R"(
STREAM              STATE   BATCH  RETRIES  ITEM FAILURES  BISECT  SETS ASIDE  MAX AGE  CREATED
orders              active    100       10  on             on      record         none  2026-01-31T12:00:00Z
payments.eu-west-1  paused   1000  forever  off            off     batch           24h  2026-01-31T12:00:00Z
)" + 1);
  EXPECT_THAT(err, IsEmpty());
}

TEST_F(CliTest, ShowsAStream) {
  EXPECT_EQ(Run({"streams", "get", "orders"}), 0) << err;
  EXPECT_EQ(out, R"(
stream                      orders
etag                        e1
created                     2026-01-31T12:00:00Z
updated                     2026-02-01T08:30:00.250Z
batch_size                  100
maximum_batching_window     0s
maximum_batch_bytes         6291456
starting_position           TRIM_HORIZON
report_batch_item_failures  true
bisect_batch_on_failure     true
maximum_retry_attempts      10
maximum_record_age          -1s
discard_scope               record
retry_backoff.initial       200ms
retry_backoff.multiplier    2
retry_backoff.maximum       1m
retry_backoff.jitter        0.2
maximum_lost_deliveries     3
handler_timeout             1m
handoff_timeout             30s
sequence_order              numeric
paused                      false
)" + 1);
}

TEST_F(CliTest, ListsShards) {
  EXPECT_EQ(Run({"shards", "list", "orders"}), 0) << err;
  EXPECT_EQ(out, R"(
SHARD                 STATUS   OWNER        EPOCH  CHECKPOINT                  DELIVERY  ATTEMPTS  LOST
shard-0               leased   worker-7f9c     12  AT 4                              57         2     1
shardId-000000000001  free     -                3  AFTER 4959033827…136588898         9         0     0
shardId-000000000002  waiting  -                0  TRIM_HORIZON                       0         0     0
)" + 1);
}

TEST_F(CliTest, ShowsAShard) {
  EXPECT_EQ(Run({"shards", "get", "orders", "shard-0"}), 0) << err;
  EXPECT_EQ(out, R"(
stream           orders
shard            shard-0
status           leased
owner            worker-7f9c
epoch            12
checkpoint       AT 4
batch ends at    10
delivery         57
attempts         2
lost deliveries  1
redelivered for  retry
not before       2026-01-31T12:00:01Z
parents          -
parents left     0
)" + 1);
}

TEST_F(CliTest, ListsDeadLettersWithinATerminalsWidth) {
  EXPECT_EQ(Run({"dead-letters", "list", "orders"}), 0) << err;
  EXPECT_EQ(out, R"(
ID  SET ASIDE AT          SHARD                 SEQUENCES     RECORDS  WHY                TRIES  ERROR
17  2026-01-31T12:00:00Z  shard-0               4..6                3  retries exhausted     11  ValueError: cannot par…
18  2026-01-31T12:00:05Z  shardId-000000000001  495903…88898        1  too large              0  -
)" + 1);
  EXPECT_EQ(Run({"dead-letters", "list", "orders", "--shard", "shardId-000000000001"}), 0);
  EXPECT_THAT(out, Not(HasSubstr("17  ")));
}

TEST_F(CliTest, ShowsADeadLetterWithItsRecords) {
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17"}), 0) << err;
  // What a handler says cannot steer the terminal.
  EXPECT_EQ(out, R"(
dead letter     17
stream          orders
shard           shard-0
first sequence  4
last sequence   6
records         3
why             retries exhausted
tries           11
error type      ValueError
error message   cannot parse price\nTraceback: \x1b[31m...
set aside at    2026-01-31T12:00:00Z
by worker       worker-7f9c
epoch           12
delivery        56

4  key customer-1  arrived 2026-01-31T11:59:58.123Z  16 bytes
  {"price": "n/a"}

5  key \xff  7 bytes, in base64
  AP8bWzMxbQ==

The data of 1 record was not kept; the source may still have it.
)" + 1);
}

TEST_F(CliTest, SaysThatAListIsEmpty) {
  server.streams = {{"empty", v1::Stream()}};
  server.shards.clear();
  server.dead_letters.clear();
  EXPECT_EQ(Run({"shards", "list", "empty"}), 0);
  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(err, "There are no shards in empty; a worker adds those its source has.\n");
  EXPECT_EQ(Run({"dead-letters", "list", "empty"}), 0);
  EXPECT_EQ(err, "There are no dead letters in empty.\n");
  server.streams.clear();
  EXPECT_EQ(Run({"streams", "list"}), 0);
  EXPECT_EQ(err, "There are no streams.\n");
  EXPECT_EQ(Run({"streams", "list", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["streams"].size(), 0u);
  EXPECT_THAT(err, IsEmpty());
}

// What a program sees.

TEST_F(CliTest, PrintsProtobufJson) {
  EXPECT_EQ(Run({"shards", "get", "orders", "shardId-000000000001", "-o", "json"}), 0) << err;
  EXPECT_EQ(out, R"(
{
 "stream": "orders",
 "shard": "shardId-000000000001",
 "status": "SHARD_STATUS_FREE",
 "owner": "",
 "epoch": "3",
 "checkpoint": {
  "after_sequence": "49590338271490256608559692538361571095921575989136588898"
 },
 "end_sequence": "",
 "delivery": "9",
 "attempts": 0,
 "lost_deliveries": 0,
 "parents": [],
 "parents_left": 0,
 "cause": "REDELIVERY_CAUSE_UNSPECIFIED"
}
)" + 1);
}

TEST_F(CliTest, EveryCommandSpeaksJson) {
  const std::vector<std::vector<std::string>> commands = {
      {"streams", "list"},
      {"streams", "get", "orders"},
      {"streams", "create", "new"},
      {"streams", "update", "orders", "--set", "batch_size=5"},
      {"streams", "delete", "new"},
      {"shards", "list", "orders"},
      {"shards", "seek", "orders", "shard-0", "latest", "--reason", "x"},
      {"dead-letters", "list", "orders"},
      {"dead-letters", "get", "orders", "17"}};
  for (std::vector<std::string> command : commands) {
    command.insert(command.end(), {"--output", "json"});
    EXPECT_EQ(Run(command), 0) << err;
    EXPECT_TRUE(nlohmann::json::accept(out)) << out;
    EXPECT_THAT(err, IsEmpty());
  }
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["records"][1]["data"], "AP8bWzMxbQ==");
  EXPECT_EQ(Run({"dead-letters", "list", "orders", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["dead_letters"][0]["first_sequence"], "4");
}

// Pages.

TEST_F(CliTest, ReadsAsManyPagesAsItTakes) {
  server.shards.assign(2500, server.shards[0]);
  const auto lines = [&] { return std::count(out.begin(), out.end(), '\n') - 1; };
  EXPECT_EQ(Run({"shards", "list", "orders"}), 0);
  EXPECT_EQ(lines(), 100);
  EXPECT_EQ(err, "These are the first 100; --limit 0 shows all.\n");
  EXPECT_EQ(Run({"shards", "list", "orders", "--limit", "0"}), 0);
  EXPECT_EQ(lines(), 2500);
  EXPECT_THAT(err, IsEmpty());
  server.page_sizes.clear();
  EXPECT_EQ(Run({"shards", "list", "orders", "--limit=1500"}), 0);
  EXPECT_EQ(lines(), 1500);
  EXPECT_THAT(server.page_sizes, testing::ElementsAre(1000, 500));
  EXPECT_EQ(Run({"shards", "list", "orders", "--limit=2500"}), 0);
  EXPECT_THAT(err, IsEmpty());
}

// Changes.

TEST_F(CliTest, CreatesAStreamFromItsSettings) {
  EXPECT_EQ(Run({"streams", "create", "new", "--preset", "lambda", "--set", "batch_size=10",
                 "--set=retry_backoff.initial=1s", "--set", "discard_scope=batch"}),
            0)
      << err;
  EXPECT_EQ(server.created.stream(), "new");
  EXPECT_EQ(server.created.preset(), v1::PRESET_LAMBDA);
  EXPECT_EQ(server.created.config().batch_size(), 10);
  EXPECT_EQ(server.created.config().retry_backoff().initial().seconds(), 1);
  EXPECT_EQ(server.created.config().discard_scope(), v1::DISCARD_SCOPE_BATCH);
  // What is not set takes the preset's value.
  EXPECT_FALSE(server.created.config().has_maximum_retry_attempts());
  EXPECT_FALSE(server.created.config().retry_backoff().has_maximum());
}

TEST_F(CliTest, UpdatesOnlyWhatIsNamed) {
  EXPECT_EQ(Run({"streams", "update", "orders", "--etag", "e1", "--set", "paused=true", "--reset",
                 "batch_size"}),
            0)
      << err;
  EXPECT_EQ(server.updated.etag(), "e1");
  EXPECT_THAT(server.updated.update_mask().paths(), testing::ElementsAre("paused", "batch_size"));
  EXPECT_TRUE(server.updated.config().paused());
  EXPECT_FALSE(server.updated.config().has_batch_size());
}

TEST_F(CliTest, DeletesAStream) {
  EXPECT_EQ(Run({"streams", "delete", "orders"}), 0);
  EXPECT_EQ(out, "Deleted the stream orders.\n");
  EXPECT_EQ(server.streams.count("orders"), 0u);
}

TEST_F(CliTest, SeeksAShard) {
  EXPECT_EQ(Run({"shards", "seek", "orders", "shard-0", "at", "2", "--reason", "bad deploy",
                 "--dry-run"}),
            0)
      << err;
  EXPECT_EQ(out, R"(
          CHECKPOINT  STATUS  OWNER        EPOCH
before    AT 4        leased  worker-7f9c     12
would be  AT 2        free    -               13
)" + 1);
  EXPECT_TRUE(server.sought.dry_run());
  EXPECT_EQ(server.sought.reason(), "bad deploy");
  EXPECT_EQ(Run({"shards", "seek", "orders", "shard-0", "AFTER:7", "--reason", "x"}), 0) << err;
  EXPECT_EQ(server.sought.position().after_sequence(), "7");
  EXPECT_FALSE(server.sought.dry_run());
}

// Errors.

TEST_F(CliTest, SaysWhatToDoAboutAnError) {
  EXPECT_THAT(Fails(1, {"streams", "get", "no"}), HasSubstr("`lowmark streams list`"));
  EXPECT_THAT(Fails(1, {"shards", "get", "orders", "no"}), HasSubstr("`lowmark shards list"));
  EXPECT_THAT(Fails(1, {"dead-letters", "get", "orders", "no"}),
              HasSubstr("`lowmark dead-letters list"));
  EXPECT_THAT(Fails(1, {"streams", "create", "orders"}), HasSubstr("`lowmark streams update`"));
  EXPECT_THAT(Fails(1, {"streams", "update", "orders", "--etag=old", "--set=paused=true"}),
              HasSubstr("read it again"));
  server.failure =
      LowmarkError(grpc::StatusCode::UNAVAILABLE, "UNAVAILABLE", "the database is out of reach");
  EXPECT_EQ(Fails(1, {"streams", "list"}),
            "lowmark: the database is out of reach; try again in a moment\n");
  server.failure = LowmarkError(grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT",
                                "stream is \"\": must be 1 to 128 of A-Za-z0-9._:-");
  EXPECT_THAT(Fails(2, {"streams", "get", ""}), HasSubstr("must be 1 to 128"));
  server.failure = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "what?");
  EXPECT_THAT(Fails(1, {"streams", "list"}), HasSubstr("no coordinator, or an older one"));
  server.failure = grpc::Status(grpc::StatusCode::UNKNOWN, "two\nlines \x1b[31m");
  EXPECT_THAT(Fails(1, {"streams", "list"}), EndsWith("answered: two\\nlines \\x1b[31m\n"));
}

TEST_F(CliTest, SaysThatNobodyAnswers) {
  EXPECT_THAT(Fails(1, {"streams", "list", "--coordinator", "127.0.0.1:1"}),
              HasSubstr("cannot reach a coordinator at 127.0.0.1:1 (Connection refused): start "
                        "one, as with `lowmark dev`, or name it with --coordinator"));
  EXPECT_THAT(Fails(1, {"streams", "list", "--coordinator", "unix:/no/such/socket"}),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(Fails(1, {"streams", "list", "--timeout", "0s"}), HasSubstr("no answer from"));
}

TEST_F(CliTest, SaysWhatIsWrongWithAnArgument) {
  EXPECT_THAT(Fails(2, {}), HasSubstr("one of streams, shards, dead-letters"));
  EXPECT_THAT(Fails(2, {"streams"}), HasSubstr("one of list, get, create, update, delete"));
  EXPECT_THAT(Fails(2, {"stream", "list"}), HasSubstr("did you mean streams?"));
  EXPECT_THAT(Fails(2, {"streams", "get"}), HasSubstr("STREAM is required"));
  EXPECT_THAT(Fails(2, {"streams", "list", "-o", "xml"}), HasSubstr("one of table, json"));
  EXPECT_THAT(Fails(2, {"streams", "list", "--limit", "-1"}), HasSubstr("whole number from 0"));
  EXPECT_THAT(Fails(2, {"streams", "create", "x", "--set", "batchsize=3"}),
              HasSubstr("did you mean batch_size?"));
  EXPECT_THAT(Fails(2, {"streams", "create", "x", "--preset", "kafka"}),
              HasSubstr("one of lowmark, lambda"));
  EXPECT_THAT(Fails(2, {"streams", "update", "orders"}), HasSubstr("nothing to change"));
  EXPECT_THAT(Fails(2, {"streams", "update", "orders", "--reset", "batch"}),
              HasSubstr("did you mean batch_size?"));
  EXPECT_THAT(Fails(2, {"shards", "seek", "orders", "shard-0", "at", "2"}),
              HasSubstr("--reason is required"));
  EXPECT_THAT(Fails(2, {"shards", "seek", "orders", "shard-0", "there", "--reason=x"}),
              HasSubstr("\"there\" is no position: must be"));
}

TEST_F(CliTest, HelpTeaches) {
  EXPECT_EQ(Run({"streams", "create", "--help"}), 0);
  EXPECT_THAT(out, HasSubstr("Usage: lowmark streams create [OPTIONS] STREAM\n"));
  EXPECT_THAT(out, HasSubstr("LOWMARK_COORDINATOR [127.0.0.1:7070]"));
  EXPECT_THAT(out, HasSubstr("Example:\n  lowmark streams create orders --set batch_size=10"));
  EXPECT_EQ(Run({"shards", "seek", "--help"}), 0);
  EXPECT_THAT(out, HasSubstr("STREAM SHARD POSITION...\n"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_THAT(out, StartsWith("lowmark "));
}

}  // namespace
}  // namespace lowmark
