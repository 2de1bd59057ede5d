// What `lowmark` shows: to a person, and to a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/service/cli/cli_fixture.h"

namespace lowmark {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A raw string without the newline that it starts with.
std::string Text(const std::string& raw) { return raw.substr(1); }

// What a person sees.

TEST_F(CliTest, ListsStreams) {
  EXPECT_EQ(Run({"streams", "list"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
STREAM              STATE   BATCH  RETRIES  ITEM FAILURES  BISECT  SETS ASIDE  MAX AGE  CREATED
orders              active    100       10  on             on      record         none  2026-01-31T12:00:00Z
payments.eu-west-1  paused   1000  forever  off            off     batch           24h  2026-01-31T12:00:00Z
)"));
  EXPECT_THAT(err, IsEmpty());
}

TEST_F(CliTest, ShowsAStream) {
  EXPECT_EQ(Run({"streams", "get", "orders"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
stream                         orders
etag                           e1
created                        2026-01-31T12:00:00Z
updated                        2026-02-01T08:30:00.250Z
batch_size                     100
maximum_batching_window        0s
maximum_batch_bytes            6291456
starting_position              TRIM_HORIZON
report_batch_item_failures     true
bisect_batch_on_failure        true
maximum_retry_attempts         10
maximum_record_age             -1s
discard_scope                  record
retry_backoff.initial          200ms
retry_backoff.multiplier       2
retry_backoff.maximum          1m
retry_backoff.jitter           0.2
maximum_lost_deliveries        3
handler_timeout                1m
handoff_timeout                30s
sequence_order                 numeric
paused                         false
frozen                         false
balance_by                     shards
on_failure.http.url            -
on_failure.http.headers        -
on_failure.kafka.brokers       -
on_failure.kafka.topic         -
on_failure.kafka.properties    -
on_failure.directory.path      -
on_failure.timeout             -
on_failure.maximum_data_bytes  -
on_failure.function_arn        -
on_failure.stream_arn          -
)"));
}

TEST_F(CliTest, ListsShards) {
  EXPECT_EQ(Run({"shards", "list", "orders"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
SHARD                 STATUS   OWNER        EPOCH  CHECKPOINT                  DELIVERY  ATTEMPTS  LOST  LAG
shard-0               leased   worker-7f9c     12  AT 4                              57         2     1    -
shardId-000000000001  free     -                3  AFTER 4959033827…136588898         9         0     0    -
shardId-000000000002  waiting  -                0  TRIM_HORIZON                       0         0     0    -
)"));
}

// What keeps shards from going on is one line for all that have it.
TEST_F(CliTest, ShowsLagAndTroubleOfShards) {
  for (int i : {0, 1, 2}) {
    v1::ShardStat& stat = *server.shards[i].mutable_stat();
    stat.mutable_lag_age()->set_seconds(125 * i);
    if (i == 0) continue;
    stat.mutable_trouble()->set_kind(v1::TROUBLE_KIND_SOURCE);
    stat.mutable_trouble()->set_message("403 AccessDenied\x1b[31m");
    stat.mutable_trouble()->mutable_lasted()->set_seconds(60 / i);
  }
  server.shards_trouble.set_kind(v1::TROUBLE_KIND_SOURCE);
  server.shards_trouble.set_message("no such stream");
  EXPECT_EQ(Run({"shards", "list", "orders"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("  LOST    LAG\n"));
  EXPECT_THAT(out, HasSubstr("     1     0s\n"));
  EXPECT_THAT(out, HasSubstr("     0   2m5s\n"));
  EXPECT_THAT(out, HasSubstr("Trouble in shardId-000000000001 and 1 more with the source, for 1m: "
                             "403 AccessDenied\\x1b[31m\n"
                             "New shards cannot be found, trouble with the source, for 0s: no such "
                             "stream\n"));
  server.shards[1].mutable_stat()->set_backlog(340);
  server.shards[1].mutable_stat()->mutable_trouble()->set_kind(v1::TROUBLE_KIND_HANDLER);
  EXPECT_EQ(Run({"shards", "get", "orders", "shardId-000000000001"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\nlag              2m5s\nbacklog          340\n"
                             "trouble          handler, for 1m: 403 AccessDenied"));
  server.shards.clear();
  EXPECT_EQ(Run({"shards", "list", "orders"}), 0) << err;
  EXPECT_EQ(err,
            "There are no shards in orders: trouble with the source, for 0s: no such stream.\n");
}

TEST_F(CliTest, ShowsTroubleOfStreams) {
  v1::Trouble& trouble = *server.streams["orders"].mutable_trouble();
  trouble.set_kind(v1::TROUBLE_KIND_SOURCE);
  trouble.set_message("no credentials");
  trouble.mutable_lasted()->set_seconds(7);
  EXPECT_EQ(Run({"streams", "list"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\nTrouble in orders with the source, for 7s: no credentials\n"));
  EXPECT_EQ(Run({"streams", "get", "orders"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\ntrouble                        source, for 7s: no credentials\n"));
}

TEST_F(CliTest, ShowsAShard) {
  EXPECT_EQ(Run({"shards", "get", "orders", "shard-0"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
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
lag              -
backlog          -
trouble          -
)"));
}

TEST_F(CliTest, AFrozenStreamSaysSoUnlessItIsPaused) {
  server.streams["orders"].mutable_config()->set_frozen(true);
  server.streams["payments.eu-west-1"].mutable_config()->set_frozen(true);
  EXPECT_EQ(Run({"streams", "list"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\norders              frozen "));
  EXPECT_THAT(out, HasSubstr("\npayments.eu-west-1  paused "));
}

TEST_F(CliTest, ListsWorkers) {
  EXPECT_EQ(Run({"workers", "list", "orders"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
WORKER       STATUS     SHARDS  WANTS  CAPACITY  SINCE                 EXPIRES IN
worker-7f9c  live           12      1         2  2026-01-31T12:00:00Z         27s
worker-8aa0  probation       1    100         1  2026-01-31T12:59:58Z         28s
worker-8aa1  ended           0      0         1  2026-01-31T10:00:00Z           -
)"));
  EXPECT_THAT(err, IsEmpty());
}

TEST_F(CliTest, ListsDeadLettersWithinATerminalsWidth) {
  EXPECT_EQ(Run({"dead-letters", "list", "orders"}), 0) << err;
  EXPECT_EQ(out, Text(R"(
ID  SET ASIDE AT          SHARD                 SEQUENCES     RECORDS  WHY                TRIES  ERROR
17  2026-01-31T12:00:00Z  shard-0               4..6                3  retries exhausted     11  ValueError: cannot par…
18  2026-01-31T12:00:05Z  shardId-000000000001  495903…88898        1  too large              0  -
)"));
  EXPECT_EQ(Run({"dead-letters", "list", "orders", "--shard", "shardId-000000000001"}), 0);
  EXPECT_THAT(out, Not(HasSubstr("17  ")));
}

TEST_F(CliTest, ShowsADeadLetterWithItsRecords) {
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17"}), 0) << err;
  // What a handler says cannot steer the terminal.
  EXPECT_EQ(out, Text(R"(
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
)"));
}

TEST_F(CliTest, ShowsWhetherADeadLetterWasSent) {
  v1::DeadLetterForwarding& waiting = *server.dead_letters[0].mutable_forwarding();
  waiting.mutable_next_try_time()->set_seconds(1769860860);
  EXPECT_EQ(Run({"dead-letters", "list", "orders"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("TRIES  SENT     ERROR"));
  EXPECT_THAT(out, HasSubstr("   11  waiting  ValueError"));
  EXPECT_THAT(out, HasSubstr("    0  -        -"));
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\nsent            not yet\ntries to send   0\nlast try        -\n"
                             "next try        2026-01-31T12:01:00Z\n"));
  waiting.set_tries(1);
  waiting.set_error("HTTP status 503\x1b[31m");
  EXPECT_EQ(Run({"dead-letters", "list", "orders"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("   11  1 try  ValueError"));
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\nlast try        HTTP status 503\\x1b[31m\n"));
  waiting.set_tries(2);
  waiting.clear_next_try_time();
  waiting.mutable_forward_time()->set_seconds(1769860800);
  EXPECT_EQ(Run({"dead-letters", "list", "orders"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("   11  sent  ValueError"));
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("\nsent            2026-01-31T12:00:00Z\n"));
  EXPECT_THAT(out, Not(HasSubstr("next try")));
}

TEST_F(CliTest, SaysThatAListIsEmpty) {
  server.streams = {{"empty", v1::Stream()}};
  server.shards.clear();
  server.workers.clear();
  server.dead_letters.clear();
  EXPECT_EQ(Run({"shards", "list", "empty"}), 0);
  EXPECT_THAT(out, IsEmpty());
  EXPECT_EQ(err, "There are no shards in empty; a worker adds those its source has.\n");
  EXPECT_EQ(Run({"workers", "list", "empty"}), 0);
  EXPECT_EQ(err, "There are no workers in empty; one appears with its first call.\n");
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
  EXPECT_EQ(out, Text(R"(
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
)"));
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
      {"workers", "list", "orders"},
      {"workers", "cordon", "orders", "worker-7f9c"},
      {"workers", "drain", "orders", "worker-7f9c"},
      {"workers", "uncordon", "orders", "worker-7f9c"},
      {"dead-letters", "list", "orders"},
      {"dead-letters", "get", "orders", "17"}};
  for (std::vector<std::string> command : commands) {
    command.insert(command.end(), {"--output", "json"});
    EXPECT_EQ(Run(command), 0) << err;
    EXPECT_TRUE(nlohmann::json::accept(out)) << out;
    EXPECT_THAT(err, IsEmpty());
  }
  EXPECT_EQ(Run({"workers", "drain", "orders", "worker-7f9c", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["status"], "WORKER_STATUS_DRAINING");
  EXPECT_EQ(Run({"dead-letters", "get", "orders", "17", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["records"][1]["data"], "AP8bWzMxbQ==");
  EXPECT_EQ(Run({"dead-letters", "list", "orders", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out)["dead_letters"][0]["first_sequence"], "4");
}

}  // namespace
}  // namespace lowmark
