// `lowmark streams apply`: what it creates, changes, leaves alone and refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/service/cli/cli_fixture.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ApplyTest : public CliTest {
 protected:
  ApplyTest() {
    std::string name = testing::TempDir() + "apply-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ApplyTest() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& text) {
    std::ofstream(path()) << text;
    return path();
  }
  std::string path() const { return directory_ + "/streams.yaml"; }

  // What is said about a file that is refused before anything is asked.
  std::string Refused(const std::string& text) {
    const auto before = server.page_sizes;
    std::string said = Fails(2, {"streams", "apply", "-f", File(text)});
    EXPECT_EQ(server.page_sizes, before) << "a coordinator was asked all the same";
    return said;
  }

 private:
  std::string directory_;
};

constexpr char kThree[] = R"(
streams:
  orders:
    config: {batch_size: 10, retry_backoff: {initial: 1s}, retry_backoff.jitter: 0.2}
  payments.eu-west-1:
    config:
      batch_size: 1000
  new:
    preset: lambda
    config: {batch_size: 7}
)";

TEST_F(ApplyTest, CreatesAndChangesWhatIsDeclared) {
  EXPECT_EQ(Run({"streams", "apply", "-f", File(kThree)}), 0) << err;
  EXPECT_EQ(server.created.stream(), "new");
  EXPECT_EQ(server.created.preset(), v1::PRESET_LAMBDA);
  EXPECT_EQ(server.created.config().batch_size(), 7);
  EXPECT_FALSE(server.created.config().has_maximum_retry_attempts());
  // Only what differs, and only if nobody changed it since it was read.
  EXPECT_EQ(server.updated.stream(), "orders");
  EXPECT_EQ(server.updated.etag(), "e1");
  EXPECT_THAT(server.updated.update_mask().paths(),
              ElementsAre("batch_size", "retry_backoff.initial"));
  EXPECT_EQ(server.streams["orders"].config().batch_size(), 10);
  EXPECT_EQ(server.streams["orders"].config().retry_backoff().initial().seconds(), 1);
  EXPECT_EQ(server.streams["orders"].config().maximum_retry_attempts(), 10);
}

TEST_F(ApplyTest, ShowsWhatDiffersAndWhatIsNotDeclared) {
  server.streams["old"] = server.streams["orders"];
  server.streams["old"].set_name("old");
  server.streams["payments.eu-west-1"] = server.streams["orders"];
  server.streams["payments.eu-west-1"].set_name("payments.eu-west-1");
  server.streams["payments.eu-west-1"].mutable_config()->set_batch_size(1000);
  server.streams["payments.eu-west-1"].mutable_config()->set_paused(true);
  EXPECT_EQ(Run({"streams", "apply", "-f", File(kThree)}), 0) << err;
  EXPECT_EQ(out, std::string(R"(
orders: changed
  batch_size: 100 -> 10
  retry_backoff.initial: 200ms -> 1s
payments.eu-west-1: as declared
  paused: true is kept, though not declared (default: false)
new: created
Not declared, and left alone: old
)")
                     .substr(1));
  EXPECT_TRUE(server.streams["payments.eu-west-1"].config().paused());
  EXPECT_EQ(server.streams.count("old"), 1u);
}

TEST_F(ApplyTest, DefaultsAreThePresets) {
  auto& config = *server.streams["orders"].mutable_config();
  config.set_report_batch_item_failures(false);
  config.set_bisect_batch_on_failure(false);
  config.set_maximum_retry_attempts(-1);
  config.set_discard_scope(v1::DISCARD_SCOPE_BATCH);
  EXPECT_EQ(Run({"streams", "apply", "-f", File("streams: {orders: {preset: lambda}}")}), 0) << err;
  EXPECT_EQ(out,
            "orders: as declared\n"
            "Not declared, and left alone: payments.eu-west-1\n");
}

TEST_F(ApplyTest, RunAgainItChangesNothing) {
  const std::string file = File("streams: {orders: {config: {batch_size: 10}}}");
  EXPECT_EQ(Run({"streams", "apply", "-f", file}), 0) << err;
  server.updated.Clear();
  EXPECT_EQ(Run({"streams", "apply", "-f", file}), 0) << err;
  EXPECT_THAT(out, HasSubstr("orders: as declared\n"));
  EXPECT_EQ(server.updated.stream(), "");
}

TEST_F(ApplyTest, DryRunChangesNothing) {
  EXPECT_EQ(Run({"streams", "apply", "--file", File(kThree), "--dry-run"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("orders: would be changed\n  batch_size: 100 -> 10\n"));
  EXPECT_THAT(out, HasSubstr("new: would be created\n"));
  EXPECT_EQ(server.streams.count("new"), 0u);
  EXPECT_EQ(server.updated.stream(), "");
}

TEST_F(ApplyTest, SaysItInJson) {
  EXPECT_EQ(Run({"streams", "apply", "-f", File("streams: {orders: {config: {batch_size: 10}}}"),
                 "--dry-run", "-o", "json"}),
            0)
      << err;
  EXPECT_EQ(nlohmann::json::parse(out), nlohmann::json::parse(R"({
    "dry_run": true, "undeclared": ["payments.eu-west-1"], "streams": [
      {"stream": "orders", "outcome": "changed", "kept": [],
       "changed": [{"field": "batch_size", "from": "100", "to": "10"}]}]})"));
}

TEST_F(ApplyTest, NamesTheStreamThatCannotBeChanged) {
  server.streams["orders"].set_etag("e1");
  const std::string file = File("streams: {new: {}, orders: {config: {batch_size: 10}}}");
  server.on_update = LowmarkError(grpc::StatusCode::ABORTED, "ETAG_MISMATCH", "it was changed");
  EXPECT_EQ(Run({"streams", "apply", "-f", file}), 1);
  EXPECT_EQ(err,
            "lowmark: the stream orders: it was changed; read it again, and decide anew; applied "
            "before it: new\n");
  // Run again, it does the rest.
  server.on_update = grpc::Status::OK;
  EXPECT_EQ(Run({"streams", "apply", "-f", file}), 0) << err;
  EXPECT_THAT(out, HasSubstr("new: as declared\n"));
}

TEST_F(ApplyTest, SaysWhatIsWrongWithAFileAndWhere) {
  EXPECT_THAT(Fails(2, {"streams", "apply"}), HasSubstr("--file is required"));
  EXPECT_THAT(Fails(2, {"streams", "apply", "-f", "/no/such"}),
              HasSubstr("there is no file /no/such"));
  EXPECT_THAT(Refused(""), HasSubstr("is empty: must begin with `streams:`"));
  EXPECT_THAT(Refused("streams: [orders]"), HasSubstr(":1: streams must be a map"));
  EXPECT_THAT(Refused("orders: {}"), HasSubstr("must hold `streams:`"));
  EXPECT_THAT(Refused("streams: {}\n---\nstreams: {}\n"), HasSubstr("second YAML document"));
  EXPECT_THAT(Refused("streams: {\n"), HasSubstr("not YAML"));
  EXPECT_THAT(Refused("streams:\n  or ders: {}\n"), HasSubstr(":2: \"or ders\" is no name"));
  EXPECT_THAT(Refused("streams:\n  a: {}\n  a: {}\n"), HasSubstr(":3: \"a\" stands twice"));
  EXPECT_THAT(Refused("streams:\n  a:\n    batch_size: 3\n"),
              HasSubstr(":3: a stream has no \"batch_size\" here: it has preset and config"));
  EXPECT_THAT(Refused("streams:\n  a:\n    preset: kafka\n"),
              HasSubstr(":3: preset is \"kafka\": must be lowmark or lambda"));
  EXPECT_THAT(Refused("streams:\n  a:\n    config:\n      batchsize: 3\n"),
              HasSubstr(":4: a stream has no field \"batchsize\": did you mean batch_size?"));
  EXPECT_THAT(Refused("streams:\n  a:\n    config:\n      batch_size: [3]\n"),
              HasSubstr(":4: batch_size must have one value"));
  EXPECT_THAT(Refused("streams: {a: {config: {batch_size: {b: 3}}}}"),
              HasSubstr("batch_size is \"b=3\": must be a whole number"));
  EXPECT_THAT(Refused("streams: {a: {config: {batch_size: 0}}}"),
              HasSubstr("a: config.batch_size is 0: must be 1..10000"));
  EXPECT_THAT(Refused("streams: {a: {config: {retry_backoff: {jitter: 0.1}, "
                      "retry_backoff.jitter: 0.2}}}"),
              HasSubstr("retry_backoff.jitter stands twice"));
}

}  // namespace
}  // namespace lowmark
