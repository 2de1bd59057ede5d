// What keeps a stream from going on is one line for operators, until it is mended: through
// real coordinators, workers, sources and functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/kinesis_server.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

using testing::HasSubstr;
using testing::Not;

class TroubleTest : public testing::Test {
 protected:
  void Start(const WorldOptions& options) {
    world_ = std::make_unique<World>(options);
    world_->StartPostgres();
    world_->StartCoordinator();
    ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
    world_->CreateStream();
    world_->StartWorker(0);
  }
  // Awaits that `lowmark shards list t` says this, in one line; the line.
  std::string AwaitTrouble(const std::string& text) {
    std::string said;
    EXPECT_TRUE(world_->Await([&] {
      for (absl::string_view line : absl::StrSplit(world_->Cli({"shards", "list", "t"}), '\n')) {
        if (absl::StrContains(line, text)) said = std::string(line);
      }
      return !said.empty();
    })) << world_->Log("worker-0");
    return said;
  }
  bool AwaitNoTrouble() {
    return world_->Await([&] {
      return !absl::StrContains(world_->Cli({"shards", "list", "t"}), "rouble");
    });
  }

  std::unique_ptr<World> world_;
};

class KinesisTroubleTest : public TroubleTest {
 protected:
  void Put(int records) {
    const std::string path = world_->directory() + "/records";
    std::ofstream file(path);
    for (int n = 1; n <= records; ++n) file << "{\"n\": " << n << ", \"kind\": \"good\"}\n";
    file.close();
    server_.Run("put", {path});
  }

  KinesisServer server_{KinesisServer::Kind::kKinesalite};
};

TEST_F(KinesisTroubleTest, AStreamThatIsNotThere) {
  Start({.source = server_.WorkerFlags()});
  const std::string line = AwaitTrouble("are the stream's name and region right?");
  EXPECT_THAT(line, HasSubstr("There are no shards in t: trouble with the source, for "));
  EXPECT_THAT(line, HasSubstr("ListShards on stream orders in us-east-1"));
  EXPECT_THAT(world_->Cli({"streams", "list"}), HasSubstr("\nTrouble in t with the source, for "));
  EXPECT_THAT(world_->Cli({"streams", "get", "t", "-o", "json"}),
              HasSubstr("\"kind\": \"TROUBLE_KIND_SOURCE\""));
  server_.Run("create", {"1"});
  EXPECT_TRUE(AwaitNoTrouble());
  EXPECT_THAT(world_->Cli({"streams", "list"}), Not(HasSubstr("rouble")));
}

// Where the shards are known, each of them says so, too; and what is put right is taken up
// without a restart.
TEST_F(KinesisTroubleTest, CredentialsThatAreMissing) {
  std::vector<std::string> flags = server_.WorkerFlags();
  flags.resize(flags.size() - 4);  // without the access key
  const std::string home = testing::TempDir() + absl::StrCat("lowmark-home-", getpid());
  std::filesystem::create_directories(home + "/.aws");
  std::ofstream(home + "/.aws/credentials")
      << "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n";
  server_.Run("create", {"1"});
  Start({.source = flags,
         .worker_env = {{"HOME", home},
                        {"AWS_EC2_METADATA_DISABLED", "true"},
                        {"AWS_ACCESS_KEY_ID", ""},
                        {"AWS_SHARED_CREDENTIALS_FILE", ""}}});
  Put(1);
  ASSERT_TRUE(world_->AwaitLines(1)) << world_->Log("worker-0");
  ASSERT_TRUE(world_->Stop(*world_->worker(0)));
  std::filesystem::rename(home + "/.aws/credentials", home + "/.aws/away");
  world_->StartWorker(0);
  const std::string line = AwaitTrouble("Trouble in shardId-000000000000 with the source, for ");
  EXPECT_THAT(line, HasSubstr("credentials"));
  EXPECT_THAT(world_->Cli({"shards", "get", "t", "shardId-000000000000"}),
              HasSubstr("\ntrouble          source, for "));
  EXPECT_THAT(AwaitTrouble("New shards cannot be found, trouble with the source, for "),
              HasSubstr("credentials"));
  std::filesystem::rename(home + "/.aws/away", home + "/.aws/credentials");
  EXPECT_TRUE(AwaitNoTrouble()) << world_->Log("worker-0");
  Put(1);
  EXPECT_TRUE(world_->AwaitLines(2)) << world_->Log("worker-0");
  std::filesystem::remove_all(home);
}

TEST_F(TroubleTest, AFunctionThatDoesNotStart) {
  const std::string mended = testing::TempDir() + absl::StrCat("lowmark-mended-", getpid());
  std::filesystem::remove(mended);
  Start({.handler = {"--handler", "lambda", "--handler-command",
                     absl::StrCat("if [ -e ", mended, " ]; then exec ", RUNTIME,
                                  "; fi; echo 'Error: cannot find module app'; exit 1")}});
  world_->OpenShards(1);
  world_->Append(1);
  const std::string line = AwaitTrouble("Trouble in s0 with the handler, for ");
  EXPECT_THAT(line, HasSubstr("Runtime.ExitError: the runtime exited with code 1: Error: cannot "
                              "find module app"));
  EXPECT_THAT(world_->Cli({"shards", "list", "t", "-o", "json"}),
              HasSubstr("\"kind\": \"TROUBLE_KIND_HANDLER\""));
  std::ofstream(mended).close();
  EXPECT_TRUE(AwaitNoTrouble()) << world_->Log("worker-0");
  std::filesystem::remove(mended);
}

}  // namespace
}  // namespace lowmark
