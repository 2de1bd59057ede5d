// What `lowmark` asks of a coordinator, and what it says when that goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/service/cli/cli_fixture.h"

namespace lowmark {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

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
  EXPECT_EQ(out, std::string(R"(
          CHECKPOINT  STATUS  OWNER        EPOCH
before    AT 4        leased  worker-7f9c     12
would be  AT 2        free    -               13
)")
                     .substr(1));
  EXPECT_TRUE(server.sought.dry_run());
  EXPECT_EQ(server.sought.reason(), "bad deploy");
  EXPECT_EQ(Run({"shards", "seek", "orders", "shard-0", "AFTER:7", "--reason", "x"}), 0) << err;
  EXPECT_EQ(server.sought.position().after_sequence(), "7");
  EXPECT_FALSE(server.sought.dry_run());
}

TEST_F(CliTest, CordonsAWorkerAndSaysWhatThatMeans) {
  EXPECT_EQ(Run({"workers", "cordon", "orders", "worker-7f9c"}), 0) << err;
  EXPECT_EQ(out,
            "worker-7f9c gets no more shards, until `lowmark workers uncordon orders "
            "worker-7f9c`.\n"
            "It goes on with the 12 shards it holds; `lowmark workers drain orders worker-7f9c` "
            "moves them.\n");
  EXPECT_EQ(server.workers[0].status(), v1::WORKER_STATUS_CORDONED);
  EXPECT_EQ(Run({"workers", "uncordon", "orders", "worker-7f9c"}), 0) << err;
  EXPECT_EQ(out, "worker-7f9c gets its share of shards again; it holds 12 shards now.\n");
  EXPECT_EQ(server.workers[0].status(), v1::WORKER_STATUS_LIVE);
  server.workers[0].set_status(v1::WORKER_STATUS_DRAINING);
  EXPECT_EQ(Run({"workers", "cordon", "orders", "worker-7f9c"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("It is being drained of the 12 shards it holds.\n"));
}

TEST_F(CliTest, DrainSaysWhatIsToBeHandedOverAndHowToWatchIt) {
  EXPECT_EQ(Run({"workers", "drain", "orders", "worker-8aa0"}), 0) << err;
  EXPECT_EQ(out, std::string(R"(
worker-8aa0 gets no more shards, until `lowmark workers uncordon orders worker-8aa0`.
It has 1 shard to hand over, each once its batch is reported; one that it keeps 30s after it was asked
is taken. `lowmark workers list orders` shows what is left, and `drained` in the end.
)")
                     .substr(1));
  EXPECT_EQ(server.workers[1].status(), v1::WORKER_STATUS_DRAINING);
  server.workers[1].set_held_shards(0);
  EXPECT_EQ(Run({"workers", "drain", "orders", "worker-8aa0"}), 0) << err;
  EXPECT_THAT(out, EndsWith("It holds none that it would have to hand over.\n"));
}

TEST_F(CliTest, DrainOfAFrozenStreamSaysThatNothingMoves) {
  server.streams["orders"].mutable_config()->set_frozen(true);
  EXPECT_EQ(Run({"workers", "drain", "orders", "worker-7f9c"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("It keeps the 12 shards it holds while the stream is frozen: "
                             "`lowmark streams update orders --set frozen=false`"));
}

// Errors.

TEST_F(CliTest, SaysWhatToDoAboutAnError) {
  EXPECT_THAT(Fails(1, {"streams", "get", "no"}), HasSubstr("`lowmark streams list`"));
  EXPECT_THAT(Fails(1, {"shards", "get", "orders", "no"}), HasSubstr("`lowmark shards list"));
  for (const char* verb : {"cordon", "uncordon", "drain"}) {
    EXPECT_THAT(Fails(1, {"workers", verb, "orders", "no"}), HasSubstr("`lowmark workers list"));
    EXPECT_THAT(Fails(1, {"workers", verb, "no", "w"}), HasSubstr("`lowmark streams list`"));
  }
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
  EXPECT_THAT(Fails(2, {}), HasSubstr("one of dev, streams, shards, workers, dead-letters"));
  EXPECT_THAT(Fails(2, {"streams"}), HasSubstr("one of list, get, create, update, apply, delete"));
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
  EXPECT_THAT(Fails(2, {"workers"}), HasSubstr("one of list, cordon, uncordon, drain"));
  EXPECT_THAT(Fails(2, {"workers", "drain", "orders"}), HasSubstr("WORKER is required"));
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
  EXPECT_EQ(Run({"workers", "drain", "--help"}), 0);
  EXPECT_THAT(out, HasSubstr("STREAM WORKER\n"));
  EXPECT_THAT(out, HasSubstr("nothing is delivered twice"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_THAT(out, StartsWith("lowmark "));
}

}  // namespace
}  // namespace lowmark
