#include "worker/source/postgres/outbox_source.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "absl/time/clock.h"
#include "tests/support/pooler.h"
#include "tests/worker/outbox/outbox_fixture.h"

namespace lowmark {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using State = ReadResult::State;

TEST_F(OutboxTest, ReadsRowsAsRecords) {
  database_.Query(
      "INSERT INTO outbox (key, data, created_at) VALUES ('k', '{\"n\": 1}', "
      "'2024-05-06 07:08:09.123456+00'), ('', '[]', 'infinity')");
  const ReadResult result = Read(*Open());
  ASSERT_THAT(result.records, SizeIs(2));
  const Record& record = result.records[0].record;
  EXPECT_EQ(record.partition_key, "k");
  EXPECT_EQ(record.data, "{\"n\": 1}");
  EXPECT_EQ(absl::ToUnixMicros(record.arrival_time), 1714979289123456);
  EXPECT_THAT(record.sequence, testing::EndsWith("0000000000000000001"));
  EXPECT_EQ(result.records[1].record.partition_key, "");
  EXPECT_EQ(result.state, State::kUpToDate);
  EXPECT_EQ(result.records_behind, 0);
}

TEST_F(OutboxTest, ReadsColumnsOfOtherNamesAndTypes) {
  database_.Query(
      "CREATE SCHEMA \"My App\"; CREATE TABLE \"My App\".\"Events\" (\"a mark\" bigint NOT NULL "
      "DEFAULT pg_current_xact_id()::text::bigint, \"Id\" serial, who uuid NOT NULL, body bytea); "
      "INSERT INTO \"My App\".\"Events\" (who, body) VALUES "
      "('00000000-0000-0000-0000-00000000000a', '\\x00ff0a'), "
      "('00000000-0000-0000-0000-00000000000b', NULL)");
  options_.table = "My App.Events";
  options_.mark_column = "a mark";
  options_.id_column = "Id";
  options_.key_column = "who";
  options_.data_column = "body";
  options_.time_column = "";
  const ReadResult result = Read(*Open());
  EXPECT_THAT(Data(result), ElementsAre(std::string("\0\xff\n", 3), ""));
  EXPECT_EQ(result.records[0].record.partition_key, "00000000-0000-0000-0000-00000000000a");
}

TEST_F(OutboxTest, KeepsToTheLimits) {
  for (int i = 0; i < 5; ++i) Insert("k", absl::StrCat(i));
  auto reader = Open();
  ReadResult result = Read(*reader, 2);
  EXPECT_THAT(Data(result), ElementsAre("0", "1"));
  EXPECT_EQ(result.state, State::kMore);
  EXPECT_EQ(result.records_behind, 3);
  // One that is too large goes alone.
  EXPECT_THAT(Data(Read(*reader, 1000, "", /*bytes=*/1)), ElementsAre("2"));
  result = Read(*reader);
  EXPECT_THAT(Data(result), ElementsAre("3", "4"));
  EXPECT_EQ(result.state, State::kUpToDate);
  EXPECT_THAT(Data(Read(*reader)), IsEmpty());
}

TEST_F(OutboxTest, StartsAtAnyPosition) {
  for (int i = 0; i < 4; ++i) Insert("k", absl::StrCat(i));
  const ReadResult all = Read(*Open());
  ASSERT_THAT(all.records, SizeIs(4));
  const std::string second = all.records[1].record.sequence;
  EXPECT_THAT(Data(Read(*Open(Position::At(second)))), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Data(Read(*Open(Position::After(second)))), ElementsAre("2", "3"));
  EXPECT_THAT(Data(Read(*Open(Position::AtTimestamp(all.records[2].record.arrival_time)))),
              ElementsAre("2", "3"));
  const ReadResult bounded = Read(*Open(), 1000, second);
  EXPECT_THAT(Data(bounded), ElementsAre("0", "1"));
  EXPECT_EQ(bounded.state, State::kEndReached);
  // Also where the row that was the end is gone.
  database_.Query("DELETE FROM outbox WHERE data = '1'");
  const ReadResult shorter = Read(*Open(), 1000, second);
  EXPECT_THAT(Data(shorter), ElementsAre("0"));
  EXPECT_EQ(shorter.state, State::kEndReached);
  EXPECT_THAT(Make()->Open("0-of-1", Position::At(std::string(50, '9'))).status().message(),
              HasSubstr("is none of an outbox table"));
}

TEST_F(OutboxTest, ALateCommitHoldsBackWhatComesAfterIt) {
  OutboxWriter early(database_);
  early.Begin();
  early.Insert("k", "1");
  Insert("k", "2");
  database_.Query("UPDATE outbox SET created_at = now() - interval '1 hour'");
  auto reader = Open();
  const ReadResult held = Read(*reader);
  EXPECT_THAT(Data(held), IsEmpty());
  EXPECT_EQ(held.state, State::kUpToDate);
  EXPECT_EQ(held.records_behind, 1);  // the committed one
  ASSERT_TRUE(held.behind_since);
  EXPECT_GE(absl::Now() - *held.behind_since, absl::Hours(1));
  early.Commit();
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("1", "2"));
}

TEST_F(OutboxTest, AbortedTransactionsHoldBackNothing) {
  OutboxWriter doomed(database_);
  doomed.Begin();
  doomed.Insert("k", "1");
  Insert("k", "2");
  doomed.Abort();
  EXPECT_THAT(Data(Read(*Open())), ElementsAre("2"));
}

TEST_F(OutboxTest, ReadingTransactionsHoldBackNothing) {
  OutboxWriter other(database_);
  other.Begin();
  other.Run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox");
  Insert("k", "1");
  EXPECT_THAT(Data(Read(*Open())), ElementsAre("1"));
}

// A transaction may have its number from long before it writes the row.
TEST_F(OutboxTest, RowsComeInTheOrderInWhichTheirTransactionsWaitedForEachOther) {
  database_.Query("CREATE TABLE other (n int)");
  OutboxWriter second(database_);
  second.Begin();
  second.Run("INSERT INTO other VALUES (1)");  // has its number
  Insert("k", "1");                            // a higher one, and is committed
  second.Insert("k", "2");                     // has seen it
  second.Commit();
  EXPECT_THAT(Data(Read(*Open())), ElementsAre("1", "2"));
}

TEST_F(OutboxTest, LatestBeginsWithTransactionsThatStillRun) {
  Insert("k", "1");
  OutboxWriter writer(database_);
  writer.Begin();
  writer.Insert("k", "2");
  auto latest = Make()->ResolveLatest("0-of-1");
  ASSERT_TRUE(latest.ok()) << latest.status();
  auto reader = Open(Position::Latest());
  EXPECT_THAT(Data(Read(*reader)), IsEmpty());
  writer.Commit();
  Insert("k", "3");
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("2", "3"));
  EXPECT_THAT(Data(Read(*Open(*latest))), ElementsAre("2", "3"));
}

TEST_F(OutboxTest, AKeyIsAlwaysInOneShard) {
  options_.shards = 4;
  const auto source = Make();
  auto shards = source->ListShards();
  ASSERT_TRUE(shards.ok()) << shards.status();
  EXPECT_THAT(*shards, ElementsAre(ListedShard{"0-of-4", {}}, ListedShard{"1-of-4", {}},
                                   ListedShard{"2-of-4", {}}, ListedShard{"3-of-4", {}}));
  database_.Query(
      "INSERT INTO outbox (key, data) SELECT 'key-' || i % 50, i::text::jsonb FROM "
      "generate_series(1, 500) i");
  std::map<std::string, std::string> shard_of;
  size_t records = 0;
  for (const ListedShard& shard : *shards) {
    const ReadResult result = Read(**source->Open(shard.shard, Position::TrimHorizon()));
    EXPECT_THAT(result.records, Not(IsEmpty())) << shard.shard;
    records += result.records.size();
    for (const SourceRecord& record : result.records) {
      const auto placed = shard_of.emplace(record.record.partition_key, shard.shard);
      EXPECT_EQ(placed.first->second, shard.shard);
    }
  }
  EXPECT_EQ(records, 500);
  EXPECT_THAT(shard_of, SizeIs(50));
  const absl::Status other = source->Open("0-of-8", Position::TrimHorizon()).status();
  EXPECT_THAT(other.message(), HasSubstr("shard 0-of-8 is none of the 4 that --outbox-shards"));
}

TEST_F(OutboxTest, TheDocumentedIndexIsUsed) {
  options_.shards = 4;
  database_.Query(
      "INSERT INTO outbox (key, data) SELECT 'key-' || i, '0' FROM generate_series(1, 20000) i; "
      "ANALYZE outbox; SELECT pg_stat_reset()");
  for (int shard = 0; shard < 4; ++shard) {
    auto reader = Open(Position::TrimHorizon(), absl::StrCat(shard, "-of-4"));
    EXPECT_THAT(Read(*reader, 10).records, SizeIs(10));
  }
  // Statistics come a little late.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  std::string scans;
  do {
    scans = database_.Query(
        "SELECT seq_scan = 0, idx_scan >= 8 FROM pg_stat_user_tables WHERE relname = 'outbox'");
  } while (scans != "t|t" && absl::Now() < deadline);
  EXPECT_EQ(scans, "t|t");
}

// --- Trouble, in one line ------------------------------------------------------------

TEST_F(OutboxTest, SaysWhatTheTableLacks) {
  const auto error = [this] { return std::string(Make()->ListShards().status().message()); };
  EXPECT_EQ(error(), "");
  options_.data_column = "payload";
  EXPECT_EQ(error(),
            "column \"payload\" of table outbox does not exist; name it by --outbox-data-column, "
            "or add it");
  options_.data_column = "created_at";
  EXPECT_THAT(error(), HasSubstr("column \"created_at\" of table outbox is timestamp with time "
                                 "zone: must be bytea or text"));
  options_.data_column = "data";
  database_.Query("ALTER TABLE outbox ALTER key DROP NOT NULL");
  EXPECT_THAT(error(), HasSubstr("column \"key\" of table outbox may be NULL"));
  options_.table = "app.events";
  EXPECT_THAT(error(), HasSubstr("PostgreSQL has no table app.events in database test_"));
  EXPECT_TRUE(absl::IsNotFound(Make()->ListShards().status()));
  EXPECT_TRUE(absl::IsNotFound(Error(*Open())));
}

TEST_F(OutboxTest, SaysThatTheDatabaseCannotBeReached) {
  options_.url = "host=127.0.0.1 port=1 dbname=x password=hunter2";
  const absl::Status error = Make()->ListShards().status();
  EXPECT_TRUE(absl::IsUnavailable(error)) << error;
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr("refused"), Not(HasSubstr("\n")), Not(HasSubstr("hunter2"))));
  options_.url = "host=x passwrd=hunter2";
  const absl::Status wrong = OutboxSource::Create(options_).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(wrong.message(), AllOf(HasSubstr("outbox-url"), Not(HasSubstr("hunter2"))));
}

TEST_F(OutboxTest, SaysWhatThePermissionIsMissingFor) {
  database_.Query("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN");
  options_.url += " user=reader";
  auto reader = Open();
  EXPECT_THAT(Error(*reader).message(), HasSubstr("permission denied for table outbox"));
  database_.Query("GRANT SELECT ON outbox TO reader");
  EXPECT_TRUE(reader->Read({1, 1, ""}).ok());
  database_.Query("DROP OWNED BY reader; DROP ROLE reader");
}

TEST_F(OutboxTest, ChecksItsOptions) {
  options_.shards = 0;
  EXPECT_THAT(OutboxSource::Create(options_).status().message(), HasSubstr("outbox-shards is 0"));
  options_.shards = 1;
  options_.table = "schema.";
  EXPECT_THAT(OutboxSource::Create(options_).status().message(), HasSubstr("outbox-table"));
}

// --- Another server --------------------------------------------------------------------

TEST_F(OutboxTest, RowsOfAnotherServerAreNoticed) {
  Insert("k", "1");
  database_.Query("INSERT INTO outbox (mark, key, data) VALUES (1000000000, 'k', '2')");
  auto reader = Open();
  const absl::Status error = Error(*reader);
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("has a row with mark 1000000000, but this server has "
                                         "only come to "));
  // As docs/outbox.md says.
  database_.Query("UPDATE outbox SET mark = 0");
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("1", "2"));
  Insert("k", "3");
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("3"));
}

TEST_F(OutboxTest, APositionOfAnotherServerIsNoticed) {
  Insert("k", "1");
  const absl::Status error = Error(*Open(Position::After("10000000000000000000000000001")));
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("the shard is at mark 1000000000, but this server has "
                                         "only come to "));
}

TEST_F(OutboxTest, ReadsThroughARestartOfTheServer) {
  Insert("k", "1");
  auto reader = Open();
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("1"));
  Insert("k", "2");
  database_.Query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
      "AND pid <> pg_backend_pid()");
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("2"));
}

TEST_F(OutboxTest, ReadsThroughAPooler) {
  Insert("k", "1");
  Pooler pooler(TestCluster());
  options_.url += absl::StrCat(" host=", pooler.directory());  // the last one counts
  auto reader = Open();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!Make()->ListShards().ok() && absl::Now() < deadline) {
  }
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("1"));
  Insert("k", "2");
  EXPECT_THAT(Data(Read(*reader)), ElementsAre("2"));
}

}  // namespace
}  // namespace lowmark
