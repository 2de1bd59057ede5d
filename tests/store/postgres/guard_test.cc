// What the database itself refuses, whoever asks: the guard and the roles.
#include "tests/store/postgres/store_fixture.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

class GuardTest : public PostgresStoreTest {
 public:
  void SetUp() override {
    PostgresStoreTest::SetUp();
    AddLeased({"0"});
    // What is there before each violation: AFTER 100, delivery 7, a young epoch.
    database_.Query(
        "UPDATE lowmark.shards SET epoch = epoch + 1, delivery = 7, position = 'AFTER', sequence = "
        "'100'");
  }
  std::string Set(const std::string& assignments) {
    return database_.ErrorOf("UPDATE lowmark.shards SET " + assignments);
  }
};

TEST_F(GuardTest, RefusesWhatNoDecisionDoes) {
  for (const char* assignments :
       {"epoch = epoch - 1", "delivery = 6", "owner = 'other'", "sequence = '99'",
        "sequence = '099'", "sequence = ''", "position = 'AT'",
        "position = 'TRIM_HORIZON', sequence = ''", "epoch = epoch - 1, delivery = 8",
        "position = 'AT', sequence = '7'"}) {
    EXPECT_THAT(Set(assignments), HasSubstr("lowmark: refused update of shard 0")) << assignments;
  }
  EXPECT_EQ(database_.Query("SELECT delivery, owner, position, sequence FROM lowmark.shards"),
            "7|w|AFTER|100");
}

TEST_F(GuardTest, AllowsWhatDecisionsDo) {
  for (const char* assignments :
       {"delivery = 8", "sequence = '101'", "sequence = '1000'",
        "position = 'AT', sequence = '2000'", "position = 'AFTER'", "owner = ''",
        "epoch = epoch + 1, owner = 'other'",
        "epoch = epoch + 1, delivery = 1, position = 'TRIM_HORIZON', sequence = ''",
        "done = true, position = 'SHARD_END', owner = ''"}) {
    EXPECT_EQ(Set(assignments), "") << assignments;
  }
}

TEST_F(GuardTest, DoneIsUndoneUnderANewEpochAlone) {
  ASSERT_EQ(Set("done = true, position = 'SHARD_END', sequence = '', owner = ''"), "");
  EXPECT_THAT(Set("done = false, position = 'AFTER', sequence = '200'"), HasSubstr("refused"));
  EXPECT_EQ(Set("done = false, position = 'AT', sequence = '1', epoch = epoch + 1"), "");
}

TEST_F(GuardTest, RowsAreConsistent) {
  EXPECT_THAT(Set("parents_left = 1"), HasSubstr("check constraint"));
  EXPECT_THAT(Set("parents_left = -1, owner = ''"), HasSubstr("check constraint"));
  EXPECT_THAT(Set("done = true"), HasSubstr("check constraint"));
  EXPECT_THAT(Set("position = 'SHARD_END', epoch = epoch + 1"), HasSubstr("check constraint"));
}

TEST_F(GuardTest, OpaqueSequenceNumbersHaveNoOrder) {
  database_.Query("UPDATE lowmark.shards SET numeric_order = false");
  EXPECT_EQ(Set("sequence = '1', position = 'AT'"), "");
  EXPECT_THAT(Set("delivery = 6"), HasSubstr("refused"));
}

TEST_F(GuardTest, TheApplicationMayNotForgetShardsOrChangeTheAudit) {
  const auto as = [&](const std::string& role, const std::string& sql) {
    return database_.ErrorOf(absl::StrCat("SET ROLE ", role, ";", sql));
  };
  for (const char* sql : {
           "DELETE FROM lowmark.shards",
           "TRUNCATE lowmark.shards CASCADE",
           "UPDATE lowmark.shards SET shard = 'x'",
           "UPDATE lowmark.shards SET numeric_order = false",
           "ALTER TABLE lowmark.shards DISABLE TRIGGER guard",
           "UPDATE lowmark.shard_events SET detail = ''",
           "DELETE FROM lowmark.shard_events",
           "TRUNCATE lowmark.shard_events",
           "UPDATE lowmark.shard_parents SET ordinal = 7",
           "DELETE FROM lowmark.streams",
           "UPDATE lowmark.dead_letters SET shard = 'x'",
           "INSERT INTO lowmark.schema_migrations VALUES (99, 'x', 'x')",
           "CREATE TABLE lowmark.mine ()",
       }) {
    EXPECT_THAT(as("lowmark_app", sql),
                testing::AnyOf(HasSubstr("permission denied"), HasSubstr("must be owner")))
        << sql;
  }
  EXPECT_EQ(as("lowmark_app", "UPDATE lowmark.shards SET delivery = 8"), "");
  EXPECT_THAT(as("lowmark_app", "SELECT lowmark.prune_events(1, interval '59 minutes', 1)"),
              HasSubstr("kept for an hour at least"));
  EXPECT_EQ(as("lowmark_ro", "SELECT * FROM lowmark.shards, lowmark.shard_events"), "");
  for (const char* sql : {
           "UPDATE lowmark.shards SET delivery = 9",
           "INSERT INTO lowmark.streams (name, policy, etag) VALUES ('x', '{}', '')",
           "SELECT lowmark.delete_stream(1)",
           "SELECT lowmark.prune_events(1, interval '1 day', 1)",
           "DELETE FROM lowmark.workers",
       }) {
    EXPECT_THAT(as("lowmark_ro", sql), HasSubstr("permission denied")) << sql;
  }
  EXPECT_EQ(as("lowmark_migrate", "ALTER TABLE lowmark.shards ADD COLUMN more int"), "");
}

TEST_F(GuardTest, TheAuditIsPrunedByAgeWithinItsStream) {
  ASSERT_TRUE(store_->CreateStream("other", Policy()).ok());
  database_.Query(
      "INSERT INTO lowmark.shard_events (stream_id, shard, time, kind, epoch, delivery, actor, "
      "detail) SELECT s.stream_id, '0', clock_timestamp() - n * interval '1 hour', 'old', 1, 1, "
      "'w', n FROM generate_series(5, 1, -1) n, lowmark.streams s ORDER BY n DESC");
  const auto kept = [&](const std::string& stream) {
    return database_.Query(
        absl::StrCat("SELECT string_agg(detail, ' ' ORDER BY id) FROM lowmark.shard_events JOIN "
                     "lowmark.streams USING (stream_id) WHERE kind = 'old' AND name = '",
                     stream, "'"));
  };
  // Those of AddLeased came before them, and are young.
  database_.Query(
      "UPDATE lowmark.shard_events SET time = time - interval '9 hours' "
      "WHERE kind <> 'old'");
  PostgresStore app(database_.app_options());
  EXPECT_EQ(*app.PruneEvents("s", absl::Minutes(150), 2), 2);
  EXPECT_EQ(*app.PruneEvents("s", absl::Minutes(150), 100), 2);
  EXPECT_EQ(*app.PruneEvents("s", absl::Minutes(150), 100), 0);
  EXPECT_EQ(kept("s"), "2 1");
  EXPECT_EQ(kept("other"), "5 4 3 2 1");
  EXPECT_EQ(Reason(app.PruneEvents("none", absl::Hours(2), 1).status()), kStreamNotFound);
}

TEST_F(GuardTest, DeadLettersArePrunedByAgeButForThoseThatWaitToBeSentOn) {
  ASSERT_TRUE(store_->CreateStream("other", Policy()).ok());
  database_.Query(
      "INSERT INTO lowmark.dead_letters SELECT s.stream_id, n, '0', n, n, 1, 1, 1, '', '', 1, 1, "
      "1, 'w', clock_timestamp() - (6 - n) * interval '1 hour' "
      "FROM generate_series(1, 5) n, lowmark.streams s; "
      "INSERT INTO lowmark.dead_letter_records SELECT stream_id, id, 0, '1', now(), '', '', '{}' "
      "FROM lowmark.dead_letters; "
      "INSERT INTO lowmark.dead_letter_forwards (stream_id, dead_letter, forward_time) "
      "SELECT stream_id, id, CASE WHEN id = 3 THEN now() END FROM lowmark.dead_letters "
      "WHERE id IN (2, 3)");
  const auto kept = [&](const std::string& table, const std::string& id) {
    return database_.Query(
        absl::StrCat("SELECT string_agg(", id, "::text, ' ' ORDER BY ", id, ") FROM lowmark.",
                     table, " JOIN lowmark.streams USING (stream_id) WHERE name = 's'"));
  };
  PostgresStore app(database_.app_options());
  EXPECT_EQ(*app.PruneDeadLetters("s", absl::Minutes(90), 1), 1);
  EXPECT_EQ(kept("dead_letters", "id"), "2 3 4 5");
  EXPECT_EQ(*app.PruneDeadLetters("s", absl::Minutes(90), 10), 2) << "one waits, one is young";
  EXPECT_EQ(*app.PruneDeadLetters("s", absl::Minutes(90), 10), 0);
  EXPECT_EQ(kept("dead_letters", "id"), "2 5");
  EXPECT_EQ(kept("dead_letter_records", "dead_letter"), "2 5");
  EXPECT_EQ(kept("dead_letter_forwards", "dead_letter"), "2");
  EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.dead_letters"), "7");
  EXPECT_EQ(*app.PruneDeadLetters("other", absl::Minutes(1), 10), 4);
  EXPECT_EQ(Reason(app.PruneDeadLetters("none", absl::Hours(2), 1).status()), kStreamNotFound);
}

}  // namespace
}  // namespace lowmark
