// Dead letters on their way to real destinations, which are down, fail, and come
// back, while the coordinator is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/e2e/world.h"
#include "tests/support/http_endpoint.h"
#include "tests/support/mock_kafka.h"

namespace lowmark {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int kShards = 2;
constexpr int kRecords = 400;
constexpr char kWaiting[] = "lowmark_dead_letters_waiting";
constexpr char kStream[] = "{stream=\"t\"}";
constexpr char kPort[] = ":17080";

class OnFailureTest : public testing::Test {
 protected:
  OnFailureTest()
      : root_(MakeRoot()),
        world_({.serve = {"--on-failure-longest-pause", "1s", "--on-failure-directory-root", root_,
                          "--on-failure-secrets", root_}}) {}
  ~OnFailureTest() override { std::filesystem::remove_all(root_); }

  static std::string MakeRoot() {
    std::string name = testing::TempDir() + "lowmark-letters-XXXXXX";
    return mkdtemp(name.data());
  }

  // A stream whose dead letters go to a destination that these settings name.
  void Start(const std::vector<std::string>& settings) {
    world_.StartPostgres();
    world_.StartCoordinator();
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream();
    Set(settings);
  }
  void Set(const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"streams", "update", "t", "--reset", "on_failure"};
    for (const std::string& setting : settings) {
      arguments.insert(arguments.end(), {"--set", "on_failure." + setting});
    }
    world_.Cli(arguments);
  }

  double Waiting() {
    const auto series = world_.Metric("coordinator-0", kWaiting);
    const auto found = series.find(kStream);
    return found == series.end() ? -1 : found->second;
  }
  // Lets the claims of a coordinator that was killed expire: the database's clock
  // cannot be set, so they are made older.
  void ExpireClaims() {
    const auto done = world_.postgres().Query(
        "lowmark",
        "UPDATE lowmark.dead_letter_forwards SET next_try = next_try - interval '2 minutes'");
    ASSERT_TRUE(done.ok()) << done.status();
  }
  // The ids of all dead letters.
  std::set<std::string> Ids() {
    const auto rows = world_.postgres().Query("lowmark", "SELECT id FROM lowmark.dead_letters");
    EXPECT_TRUE(rows.ok()) << rows.status();
    return absl::StrSplit(absl::StripAsciiWhitespace(*rows), '\n', absl::SkipEmpty());
  }
  // Expects that the document is a dead letter's, with the bad record in it, and returns
  // its id.
  static std::string CheckDocument(const std::string& text) {
    const json document = json::parse(text);
    EXPECT_EQ(document["requestContext"]["condition"], "RetryAttemptsExhausted") << text;
    EXPECT_EQ(document["requestContext"]["approximateInvokeCount"], 3) << text;
    EXPECT_EQ(document["KinesisBatchInfo"]["batchSize"], 1) << text;
    EXPECT_EQ(document["lowmark"]["recordsOmitted"], 0) << text;
    std::string data;
    EXPECT_TRUE(
        absl::Base64Unescape(document["lowmark"]["records"][0]["data"].get<std::string>(), &data));
    EXPECT_THAT(data, HasSubstr("\"bad\"")) << text;
    return document["lowmark"]["deadLetter"];
  }

  const std::string root_;
  World world_;
};

TEST_F(OnFailureTest, AnEndpointThatIsDownFailsAndComesBackMissesNothing) {
  const std::string host = world_.Address(3).substr(0, world_.Address(3).find(':'));
  std::ofstream(root_ + "/token") << "t0ken\n";
  Start({absl::StrCat("http.url=http://", host, kPort, "/letters"),
         "http.headers=Authorization=Bearer ${secret:token}", "maximum_data_bytes=100000"});

  // Nobody listens. The shards go on all the same.
  world_.WriteShards(kShards, kRecords);
  world_.StartWorker(0);
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0");
  const auto letters = static_cast<double>(world_.bad().size());
  ASSERT_TRUE(world_.Await([&] { return Waiting() == letters; })) << world_.Log("coordinator-0");
  ASSERT_TRUE(world_.Await(
      [&] { return world_.Log("coordinator-0").find("takes none") != std::string::npos; }));

  // It listens, and fails.
  auto endpoint = std::make_unique<HttpEndpoint>(host + kPort);
  endpoint->Answer({"500 Oops"});
  endpoint->AwaitRequests(2);

  // It takes two; while it thinks about the third the coordinator is killed.
  endpoint->Answer({"200 OK"});
  endpoint->Hold(2);
  endpoint->AwaitHeld();
  world_.coordinator()->Kill();
  endpoint->Release();
  world_.StartCoordinator();
  ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
  ExpireClaims();
  ASSERT_TRUE(world_.Await([&] { return Waiting() == 0; })) << world_.Log("coordinator-0");

  std::map<std::string, int> times;
  for (const auto& request : endpoint->requests()) {
    const std::string id = CheckDocument(request.body);
    EXPECT_EQ(request.headers.at("Idempotency-Key"), "t/" + id);
    EXPECT_EQ(request.headers.at("Authorization"), "Bearer t0ken");
    if (request.status == "200 OK") ++times[id];
  }
  for (const std::string& id : Ids()) EXPECT_GE(times[id], 1) << "lost: " << id;
  EXPECT_EQ(times.size(), world_.bad().size());
  world_.CheckLedger();
  EXPECT_THAT(world_.Cli({"dead-letters", "list", "t"}), HasSubstr("  sent  "));
  EXPECT_THAT(world_.Cli({"dead-letters", "get", "t", times.begin()->first}),
              Not(HasSubstr("not yet")));
}

TEST_F(OnFailureTest, ADirectoryAndThenATopicGetAllOfThem) {
  Start({"directory.path=streams/t", "maximum_data_bytes=100000"});
  world_.OpenShards(kShards);
  world_.Append(kRecords);
  world_.StartWorker(0);
  const size_t first = world_.bad().size();
  const std::string directory = root_ + "/streams/t";
  const auto files = [&] {
    std::set<std::string> names;
    if (!std::filesystem::exists(directory)) return names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      names.insert(entry.path().filename());
    }
    return names;
  };
  ASSERT_TRUE(world_.Await([&] { return files().size() >= first && Waiting() == 0; }))
      << world_.Log("coordinator-0");
  std::set<std::string> written;
  for (const std::string& name : files()) {
    std::ifstream file(directory + "/" + name);
    std::string text;
    std::getline(file, text);
    const std::string id = CheckDocument(text);
    EXPECT_EQ(name, absl::StrCat("t.", id, ".json"));
    written.insert(id);
  }
  EXPECT_EQ(written, Ids());

  // Those from now on go elsewhere; the broker is down at first.
  MockKafka kafka;
  kafka.CreateTopic("letters", 2);
  kafka.SetDown(1, true);
  Set({"kafka.brokers=" + kafka.brokers(), "kafka.topic=letters", "timeout=1s",
       "kafka.properties=client.id=test", "maximum_data_bytes=100000"});
  world_.Append(kRecords);
  world_.CloseShards();
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0");
  ASSERT_TRUE(world_.Await([&] {
    return world_.Log("coordinator-0").find("takes none") != std::string::npos;
  })) << world_.Log("coordinator-0");
  kafka.SetDown(1, false);
  ASSERT_TRUE(world_.Await([&] { return Waiting() == 0; })) << world_.Log("coordinator-0");
  std::set<std::string> produced = written;
  for (const auto& message : kafka.Read("letters", 2, world_.bad().size() - first)) {
    const std::string id = CheckDocument(message.value);
    EXPECT_EQ(message.idempotency_key, "t/" + id);
    EXPECT_THAT(message.key, testing::AnyOf("s0", "s1"));
    EXPECT_FALSE(written.contains(id)) << "it went to the directory already";
    produced.insert(id);
  }
  EXPECT_EQ(produced, Ids());
  EXPECT_EQ(produced.size(), world_.bad().size());
  world_.CheckLedger();
}

}  // namespace
}  // namespace lowmark
