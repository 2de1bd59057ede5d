// The coordinator's program at its start: without its database, on a port that is
// taken, with options that are wrong.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "lowmark/v1/admin.grpc.pb.h"
#include "service/core/error.h"
#include "service/process/child_process.h"
#include "tests/integration/health.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/running_server.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kLong = absl::Minutes(1);
constexpr char kNoDatabase[] = "host=/no/such/directory dbname=x";

class ServeTest : public testing::Test {
 protected:
  ServeTest() {
    std::string name = testing::TempDir() + "serve-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ServeTest() override {
    coordinator_.reset();
    std::filesystem::remove_all(directory_);
  }

  static ProcessOptions Program(std::vector<std::string> arguments) {
    ProcessOptions options{.argv = std::move(arguments)};
    options.argv.insert(options.argv.begin(), COORDINATOR);
    return options;
  }
  // Starts it, and waits until it says `line`.
  void Start(const std::vector<std::string>& arguments, const std::string& line) {
    ProcessOptions options = Program(arguments);
    options.out = Output::Pipe();
    options.err = Output::Stdout();
    auto started = ChildProcess::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    coordinator_ = *std::move(started);
    Await(line);
  }
  // The next line that has these words.
  std::string Await(const std::string& words) {
    for (;;) {
      auto said = coordinator_->ReadLine(kLong);
      EXPECT_TRUE(said.ok()) << said.status();
      if (!said.ok() || said->find(words) != std::string::npos) return said.value_or("");
    }
  }

  std::string directory_;
  std::unique_ptr<ChildProcess> coordinator_;
};

TEST_F(ServeTest, AnswersBeforeItsDatabaseIsThere) {
  const std::string listen = "unix:" + directory_ + "/socket";
  Start({"serve", "--database", kNoDatabase, "--listen", listen, "--http-listen", "127.0.0.1:0"},
        "serving gRPC");
  // What libpq says in two lines is one here.
  const std::string waiting = Await("PostgreSQL cannot be used yet");
  EXPECT_THAT(waiting, HasSubstr("No such file or directory Is the server running"));
  const auto channel = grpc::CreateChannel(listen, grpc::InsecureChannelCredentials());
  EXPECT_EQ(Health(channel, ""), "NOT_SERVING");
  EXPECT_EQ(Health(channel, "lowmark.v1.CoordinatorService"), "NOT_SERVING");
  const auto admin = v1::AdminService::NewStub(channel);
  v1::GetStreamRequest request;
  request.set_stream("s");
  v1::GetStreamResponse response;
  const absl::Status status = Call(&v1::AdminService::Stub::GetStream, *admin, request, &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(Reason(status), kUnavailable) << status;
  coordinator_->Signal(SIGTERM);
  const auto exit = coordinator_->Wait(kLong);
  ASSERT_TRUE(exit);
  EXPECT_TRUE(exit->ok()) << exit->ToString();
}

TEST_F(ServeTest, ATakenPortIsSaidAtOnceWithItsReason) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* general = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(fd, general, size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, general, &size), 0);
  const std::string taken = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  // Though there is no database, for which it would wait for ever.
  for (const auto& [grpc, http] : {std::pair<std::string, std::string>(taken, "127.0.0.1:0"),
                                   std::pair<std::string, std::string>("127.0.0.1:0", taken)}) {
    auto end = RunCommand(
        Program({"serve", "--database", kNoDatabase, "--listen", grpc, "--http-listen", http}),
        kLong);
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(end->exit.code, 1) << end->output;
    EXPECT_THAT(end->output, HasSubstr(taken));
    EXPECT_THAT(end->output, HasSubstr("Address already in use"));
  }
  close(fd);
}

TEST_F(ServeTest, AWrongOptionIsOneLineThatNamesItsFlag) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--listen", ""}, "--listen is \"\": must be HOST:PORT"},
      {{"--listen", "a\"b"}, "--listen is \"a\\\"b\": must be HOST:PORT"},
      {{"--http-listen", "7071"}, "--http-listen is \"7071\": must be HOST:PORT"},
      {{"--session-ttl", "1ms"}, "--session-ttl is \"1ms\": must be 100ms..1h"},
      {{"--committers", "17"}, "--committers is 17: must be 1..16"},
      {{"--metrics-max-streams", "0"}, "--metrics-max-streams is 0: must be 1..10000"},
      {{"--drain-delay", "100000h"}, "--drain-delay is \"100000h\": must be 0..10m"},
      {{"--drain-timeout", "100000h"}, "--drain-timeout is \"100000h\": must be 0..10m"},
      {{"--audit-retention", "1m"}, "--audit-retention is \"1m\": must be 1h..87600h"},
      {{"--log-format", "xml"}, "--log-format is \"xml\": must be one of console, json"},
      {{"--database", "nonsense"}, "--database cannot be read as a PostgreSQL connection string"},
      {{"--migrate", "false"}, "--migrate takes its value with =: --migrate=false"},
  };
  for (const auto& [arguments, expected] : cases) {
    ProcessOptions options = Program({"serve"});
    if (arguments[0] != "--database") {
      options.argv.insert(options.argv.end(), {"--database", kNoDatabase});
    }
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    auto end = RunCommand(options, kLong);
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(end->exit.code, 2) << end->output;
    EXPECT_THAT(end->output, testing::StartsWith("lowmark-coordinator: " + expected));
    EXPECT_THAT(end->output, testing::EndsWith("(see `lowmark-coordinator serve --help`)\n"));
    EXPECT_EQ(std::count(end->output.begin(), end->output.end(), '\n'), 1) << end->output;
  }
}

}  // namespace
}  // namespace lowmark
