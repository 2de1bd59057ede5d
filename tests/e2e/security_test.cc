// Certificates and tokens with the real programs: all of them are replaced under load
// without a call that fails, and what is wrong is said in a line that says what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/world.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr int kRecordsBetween = 60;

// The options of a World whose parts have certificates and tokens, in secrets as
// Kubernetes mounts them.
class Secrets {
 public:
  Secrets() {
    files_.MakeCa("ca");
    files_.MakeCa("next-ca");
    const std::string host =
        absl::StrSplit(World::Address(0), ':').operator std::vector<std::string>()[0];
    files_.Make("server", "ca", {.names = "IP:" + host});
    files_.Make("next-server", "next-ca", {.names = "IP:" + host});
    files_.Make("client", "ca");
    files_.Make("next-client", "next-ca");
    files_.Write("both-cas.crt", files_.Read("ca.crt") + files_.Read("next-ca.crt"));
    Mount("server", "ca");
    MountClient("client", "ca");
    WriteTokens("worker-0123456789\n", "admin-0123456789\n");
  }

  TestCertificates& files() { return files_; }

  void Mount(const std::string& server, const std::string& client_ca) {
    files_.Mount("server-secret", {{"tls.crt", server + ".crt"},
                                   {"tls.key", server + ".key"},
                                   {"client-ca.crt", client_ca + ".crt"}});
  }
  void MountClient(const std::string& client, const std::string& ca) {
    files_.Mount(
        "client-secret",
        {{"tls.crt", client + ".crt"}, {"tls.key", client + ".key"}, {"ca.crt", ca + ".crt"}});
  }
  void WriteTokens(const std::string& worker, const std::string& admin) {
    files_.Write("worker-tokens", worker);
    files_.Write("admin-tokens", admin);
    files_.Mount("tokens", {{"worker", "worker-tokens"}, {"admin", "admin-tokens"}});
  }

  std::vector<std::string> Client(const std::string& token) const {
    return {"--tls-ca",     files_.Path("client-secret/ca.crt"),
            "--tls-cert",   files_.Path("client-secret/tls.crt"),
            "--tls-key",    files_.Path("client-secret/tls.key"),
            "--token-file", files_.Path("tokens/" + token)};
  }
  WorldOptions Options() const {
    return {.session_ttl = absl::Seconds(10),
            .connection_age = absl::Seconds(1),
            .serve = {"--tls-cert", files_.Path("server-secret/tls.crt"), "--tls-key",
                      files_.Path("server-secret/tls.key"), "--tls-client-ca",
                      files_.Path("server-secret/client-ca.crt"), "--worker-tokens",
                      files_.Path("tokens/worker"), "--admin-tokens", files_.Path("tokens/admin")},
            .worker = Client("worker"),
            .cli = Client("admin")};
  }

 private:
  TestCertificates files_;
};

class SecurityTest : public testing::Test {
 protected:
  // `worker`: more options of the worker.
  void Start(const std::vector<std::string>& worker = {}) {
    WorldOptions options = secrets_.Options();
    options.worker.insert(options.worker.end(), worker.begin(), worker.end());
    world_.emplace(options);
    world_->OpenShards(2);
    world_->StartPostgres();
    world_->StartCoordinator();
    ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
    world_->CreateStream();
    world_->StartWorker(0);
    world_->FeedWhileWaiting(true);
  }

  // Waits until a part has said so often that it goes on with another secret.
  bool AwaitReplaced(const std::string& part, const std::string& secret, int times) {
    return world_->Await([&] {
      const std::vector<std::string> parts =
          absl::StrSplit(world_->Log(part), absl::StrCat("secret=", secret, "\n"));
      return static_cast<int>(parts.size()) > times;
    });
  }
  bool AwaitLog(const std::string& part, const std::string& words) {
    return world_->Await([&] { return world_->Log(part).find(words) != std::string::npos; });
  }

  Secrets secrets_;
  std::optional<World> world_;
};

TEST_F(SecurityTest, EverythingIsReplacedUnderLoadAndNoCallFails) {
  Start();
  ASSERT_TRUE(world_->AwaitProgress(kRecordsBetween)) << world_->Log("worker-0");
  int of_coordinator = 0;
  int of_worker = 0;
  const auto progress = [&] {
    EXPECT_TRUE(world_->AwaitProgress(kRecordsBetween)) << world_->Log("worker-0");
  };
  const auto coordinator = [&](const std::string& certificate, const std::string& cas) {
    secrets_.Mount(certificate, cas);
    EXPECT_TRUE(AwaitReplaced("coordinator-0", "certificates", ++of_coordinator));
    progress();
  };
  const auto client = [&](const std::string& certificate, const std::string& cas) {
    secrets_.MountClient(certificate, cas);
    EXPECT_TRUE(AwaitReplaced("worker-0", "certificates", ++of_worker)) << world_->Log("worker-0");
    progress();
  };
  // Both sides trust both CAs, get a certificate of the next, and trust that alone.
  coordinator("server", "both-cas");
  client("client", "both-cas");
  coordinator("next-server", "both-cas");
  client("next-client", "both-cas");
  client("next-client", "next-ca");
  coordinator("next-server", "next-ca");

  int tokens = 0;
  const std::vector<std::string> steps = {"0123456789+9876543210", "9876543210+0123456789",
                                          "9876543210"};
  for (const std::string& step : steps) {
    const auto said = [&](const std::string& who) {
      return absl::StrCat(who, absl::StrReplaceAll(step, {{"+", "\n" + who}}), "\n");
    };
    secrets_.WriteTokens(said("worker-"), said("admin-"));
    EXPECT_TRUE(AwaitReplaced("coordinator-0", "tokens", ++tokens));
    world_->Cli({"shards", "list", "t"});
    progress();
    // The first has the same first token.
    if (tokens > 1) {
      EXPECT_TRUE(AwaitReplaced("worker-0", "token", 1));
    }
  }

  world_->CloseShards();
  ASSERT_TRUE(world_->AwaitDone()) << world_->Log("worker-0");
  EXPECT_THAT(world_->CheckLedger(), IsEmpty());
  EXPECT_THAT(world_->Metric("worker-0", "lowmark_worker_call_errors_total"), IsEmpty())
      << world_->Log("worker-0");
  EXPECT_THAT(world_->Metric("worker-0", "lowmark_worker_sessions_total"),
              ElementsAre(Pair("{stream=\"t\"}", 1)));
  EXPECT_THAT(world_->Metric("worker-0", "lowmark_worker_leases_lost_total"), IsEmpty());
  EXPECT_THAT(world_->Metric("coordinator-0", "lowmark_calls_refused_total"), IsEmpty());
  for (const char* part : {"worker-0", "coordinator-0"}) {
    EXPECT_THAT(world_->Log(part), Not(HasSubstr("9876543210"))) << "a token in the log";
  }
}

TEST_F(SecurityTest, AWorkerSaysWhatIsWrongAndGoesOnWhenItIsRight) {
  secrets_.files().Write("ca-of-worker", secrets_.files().Read("next-ca.crt"));
  secrets_.files().Write("token-of-worker", "nobody-0123456789\n");
  WorldOptions options = secrets_.Options();
  options.worker[1] = secrets_.files().Path("ca-of-worker");
  options.worker[7] = secrets_.files().Path("token-of-worker");
  world_.emplace(options);
  world_->WriteShards(2, 20);
  world_->StartPostgres();
  world_->StartCoordinator();
  ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
  world_->CreateStream();
  world_->StartWorker(0);
  EXPECT_TRUE(AwaitLog("worker-0", "its certificate is signed by none of the CAs in --tls-ca"))
      << world_->Log("worker-0");
  secrets_.files().Write("ca-of-worker", secrets_.files().Read("ca.crt"));
  EXPECT_TRUE(AwaitLog("worker-0", "the call's token is none of the coordinator's"))
      << world_->Log("worker-0");
  EXPECT_THAT(world_->Metric("coordinator-0", "lowmark_calls_refused_total"),
              testing::Contains(Pair("{reason=\"UNAUTHENTICATED\"}", testing::Ge(1))));
  secrets_.files().Write("token-of-worker", "worker-0123456789\n");
  ASSERT_TRUE(world_->AwaitDone()) << world_->Log("worker-0");
  EXPECT_THAT(world_->CheckLedger(), IsEmpty());
  EXPECT_THAT(world_->Log("worker-0"), Not(HasSubstr("nobody-0123456789")));
}

TEST_F(SecurityTest, TheCommandLineSaysWhatIsWrongInALine) {
  Start();
  const std::string target = "dns:///" + World::Address(0);
  const TestCertificates& files = secrets_.files();
  secrets_.files().Make("stranger", "next-ca");
  secrets_.files().Write("short", "abc\n");
  const std::vector<std::string> right = secrets_.Client("admin");
  // With one of the right options changed, or left out where it is "".
  const auto said = [&](const std::string& flag, const std::string& value,
                        const std::string& other_flag = "", const std::string& other = "") {
    std::vector<std::string> arguments = {"streams", "list", "--coordinator", target};
    for (size_t i = 0; i < right.size(); i += 2) {
      std::string given = right[i + 1];
      if (right[i] == flag || flag == "all") given = value;
      if (right[i] == other_flag) given = other;
      if (!given.empty()) arguments.insert(arguments.end(), {right[i], given});
    }
    if (flag == "--tls-server-name") arguments.insert(arguments.end(), {flag, value});
    return world_->CliFails(arguments);
  };
  const std::string cannot = absl::StrCat("lowmark: cannot connect to the coordinator at ", target);
  EXPECT_THAT(said("--tls-ca", files.Path("next-ca.crt")),
              StartsWith(cannot + ": its certificate is signed by none of the CAs in --tls-ca ("));
  EXPECT_THAT(said("--tls-server-name", "marks.example"),
              HasSubstr(", not for marks.example: connect to a name that it is for"));
  EXPECT_EQ(said("all", ""), cannot + ": it speaks TLS: give the file of its CA with --tls-ca\n");
  EXPECT_EQ(said("--tls-cert", "", "--tls-key", ""),
            cannot + ": it asks for a certificate of the client: give --tls-cert and --tls-key\n");
  EXPECT_THAT(
      said("--tls-cert", files.Path("stranger.crt"), "--tls-key", files.Path("stranger.key")),
      StartsWith(cannot + ": it refuses the certificate in --tls-cert"));
  EXPECT_THAT(said("--tls-cert", files.Path("stranger.crt")),
              HasSubstr("does not belong to the certificate in"));
  EXPECT_EQ(said("--tls-cert", ""),
            absl::StrCat("lowmark: --tls-key is \"", files.Path("client-secret/tls.key"),
                         "\": needs --tls-cert, the file with its "
                         "certificate\n"));
  EXPECT_EQ(said("--tls-ca", "/none"),
            "lowmark: --tls-ca is \"/none\": cannot be read: No such file or directory\n");
  EXPECT_THAT(said("--token-file", files.Path("short")), HasSubstr("line 1 is no token"));
  EXPECT_THAT(said("--token-file", ""),
              StartsWith("lowmark: the call has no token: give the client the file of one"));
  EXPECT_THAT(said("--token-file", files.Path("tokens/worker")),
              StartsWith("lowmark: a worker's token may not do this: it takes an admin's"));
  EXPECT_THAT(world_->CliFails({"streams", "list", "--coordinator", "marks.example:7070",
                                "--token-file", files.Path("tokens/admin")}),
              HasSubstr("others could read the token on its way to marks.example:7070"));
}

}  // namespace
}  // namespace lowmark
