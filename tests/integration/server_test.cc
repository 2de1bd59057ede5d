// The gRPC server itself: health, reflection, its address, its limits, its end.
#include "service/rpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/message_size.h"
#include "store/memory/memory_store.h"
#include "tests/integration/dump.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/health.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/running_server.h"
#include "tests/service/answers.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

constexpr char kWorkers[] = "lowmark.v1.CoordinatorService";
constexpr char kAdmin[] = "lowmark.v1.AdminService";
constexpr char kScaler[] = "externalscaler.ExternalScaler";

class ServerTest : public testing::Test {
 protected:
  // Another server for the same coordinator.
  absl::Status StartSecond(const std::string& listen) {
    ServerOptions options;
    options.listen = listen;
    return Server::Start(server_.coordinator(), server_.registry(), options).status();
  }

  MemoryStore store_;
  RunningServer server_{store_};
};

TEST_F(ServerTest, HealthFollowsWhatItIsTold) {
  for (const char* service : {"", kWorkers, kAdmin, kScaler}) {
    EXPECT_EQ(Health(server_.channel(), service), "NOT_SERVING") << service;
  }
  server_.server().SetServing(true);
  for (const char* service : {"", kWorkers, kAdmin, kScaler}) {
    EXPECT_EQ(Health(server_.channel(), service), "SERVING") << service;
  }
  EXPECT_EQ(Health(server_.channel(), "no.such.Service"), "NOT_FOUND");
  server_.server().SetServing(false);
  EXPECT_EQ(Health(server_.channel(), kWorkers), "NOT_SERVING");
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  const std::vector<std::string> services = ListServices(server_.channel());
  EXPECT_THAT(services,
              testing::IsSupersetOf({std::string(kWorkers), std::string(kAdmin),
                                     std::string(kScaler), std::string("grpc.health.v1.Health")}));
}

TEST_F(ServerTest, PortZeroIsAFreePort) {
  EXPECT_TRUE(absl::StartsWith(server_.address(), "127.0.0.1:"));
  EXPECT_NE(server_.address(), "127.0.0.1:0");
}

// Two servers would share the port, and each get half of the calls.
TEST_F(ServerTest, ASecondServerOnThePortFailsInOneLine) {
  const absl::Status second = StartSecond(server_.address());
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr(server_.address()));
  EXPECT_THAT(std::string(second.message()), HasSubstr("--listen"));
  EXPECT_EQ(second.message().find('\n'), absl::string_view::npos);
}

TEST_F(ServerTest, AddressesThatCannotBeFailInOneLine) {
  for (const char* listen :
       {"256.256.256.256:1", "192.0.2.1:7070", "unix:/no/such/directory/socket"}) {
    const absl::Status status = StartSecond(listen);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << "\"" << listen << "\"";
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }
  // gRPC would take the port modulo 65536.
  for (const std::string& listen :
       {std::string(), std::string("nonsense"), std::string("127.0.0.1:99999"),
        std::string("127.0.0.1:-1"), std::string("127.0.0.1:"), std::string(":7070"),
        std::string("unix:"), "unix:/" + std::string(200, 'x')}) {
    const absl::Status status = StartSecond(listen);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "\"" << listen << "\"";
    EXPECT_THAT(std::string(status.message()), HasSubstr("listen"));
  }
}

class UnixSocketTest : public ServerTest {
 protected:
  UnixSocketTest() {
    std::string name = "/tmp/lowmark-server-XXXXXX";
    directory_ = mkdtemp(name.data());
    path_ = directory_ + "/socket";
  }
  ~UnixSocketTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::string path_;
};

TEST_F(UnixSocketTest, ASecondServerDoesNotTakeTheSocketAway) {
  RunningServer first(store_, RunningServer::DefaultOptions(), "unix:" + path_);
  EXPECT_EQ(first.address(), "unix:" + path_);
  EXPECT_EQ(Health(first.channel(), ""), "NOT_SERVING");
  const absl::Status second = StartSecond("unix:" + path_);
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr(path_));
  // New connections still reach the first.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  EXPECT_EQ(Health(grpc::CreateCustomChannel("unix:" + path_, grpc::InsecureChannelCredentials(),
                                             arguments),
                   ""),
            "NOT_SERVING");
}

TEST_F(UnixSocketTest, ASocketThatADeadServerLeftBehindIsReplaced) {
  { RunningServer first(store_, RunningServer::DefaultOptions(), "unix:" + path_); }
  // As kill -9 leaves it.
  if (!std::filesystem::exists(path_)) MakeStaleSocket(path_);
  RunningServer second(store_, RunningServer::DefaultOptions(), "unix:" + path_);
  EXPECT_EQ(Health(second.channel(), ""), "NOT_SERVING");
}

TEST_F(UnixSocketTest, AFileThatIsNoSocketIsLeftAlone) {
  { std::ofstream(path_) << "precious"; }
  const absl::Status status = StartSecond("unix:" + path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

// --- What is no request --------------------------------------------------------

TEST_F(ServerTest, AMessageBeyondTheLimitIsRefusedAndChangesNothing) {
  const std::vector<GoodRequest> good = MakeGoodRequests(server_);
  const std::string before = Dump(store_);
  // An unknown field, 8191, length-delimited, of 96 MiB.
  const std::string filler = "\xfa\xff\x03\x80\x80\x80\x30" + std::string(96 << 20, 'x');
  static_assert(96 << 20 > kLargestMessage);
  for (const GoodRequest& each : good) {
    const std::string& method = each.method->name();
    if (method != "ReportBatch" && method != "GetStream") continue;  // one of each service
    const std::string bytes = each.request->SerializeAsString() + filler;
    const absl::Status status = RawCall(
        server_.channel(),
        absl::StrCat("/", each.method->service()->full_name(), "/", each.method->name()), bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << each.name << status;
    EXPECT_EQ(Dump(store_), before) << each.name;
  }
}

TEST_F(ServerTest, BytesThatAreNoRequestAreRefusedAndChangeNothing) {
  const std::vector<GoodRequest> good = MakeGoodRequests(server_);
  const std::string before = Dump(store_);
  const std::string bad_utf8 = "\x0a\x03\xff\xfe\xfd";  // field 1: a string that is no UTF-8
  for (const auto* method : AllMethods()) {
    const std::string path = absl::StrCat("/", method->service()->full_name(), "/", method->name());
    for (const std::string& bytes :
         {std::string("\xff\xff\xff\xff"), std::string("\x0a\x7f"), std::string(1000, '\x0b'),
          std::string("not a message"), std::string()}) {
      EXPECT_FALSE(RawCall(server_.channel(), path, bytes).ok() && !bytes.empty()) << path;
    }
    // gRPC reads the bytes before any code of ours and answers itself, in two ways:
    // docs/design.md says so.
    const bool workers = method->service()->name() == "CoordinatorService";
    const auto refused = workers ? absl::StatusCode::kUnimplemented : absl::StatusCode::kInternal;
    if (method->input_type()->FindFieldByNumber(1)->name() == "stream") {
      EXPECT_EQ(RawCall(server_.channel(), path, bad_utf8).code(), refused) << path;
    }
  }
  EXPECT_EQ(Dump(store_), before);
}

TEST_F(ServerTest, UnknownMethodsAreUnimplemented) {
  EXPECT_EQ(RawCall(server_.channel(), "/lowmark.v1.AdminService/NoSuchMethod", "").code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(RawCall(server_.channel(), "/no.such.Service/Method", "").code(),
            absl::StatusCode::kUnimplemented);
}

TEST_F(ServerTest, MetadataBeyondTheLimitIsRefused) {
  grpc::ClientContext context;
  context.AddMetadata("x-filler", std::string(64 << 10, 'x'));
  v1::ListStreamsResponse response;
  EXPECT_EQ(server_.admin().ListStreams(&context, {}, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// --- Its end -------------------------------------------------------------------

TEST_F(ServerTest, ShutdownAnswersLongPolls) {
  MakeGoodRequests(server_);
  v1::LeaseShardRequest request;
  request.set_stream("orders");
  request.set_worker("v");
  request.set_max_leases(1);
  v1::LeaseShardResponse response;
  using Stub = v1::CoordinatorService::Stub;
  ASSERT_TRUE(Call(&Stub::LeaseShard, server_.workers(), request, &response).ok());
  request.set_held_leases(response.leases_size());
  absl::Status answer = absl::UnknownError("none came");
  std::thread waiting([&] {
    answer = Call(&Stub::LeaseShard, server_.workers(), request, &response, absl::Minutes(5));
  });
  EXPECT_TRUE(Eventually([&] {
    const auto census = server_.coordinator().store().ReadCensus("orders");
    return std::any_of(census->workers.begin(), census->workers.end(),
                       [](const WorkerLoad& w) { return w.worker == "v" && w.wanted > 0; });
  }));
  server_.coordinator().Drain();
  waiting.join();
  EXPECT_EQ(answer, absl::OkStatus());
  server_.server().Shutdown(absl::Seconds(10));
  server_.server().SetServing(true);  // harmless, and to no effect
  EXPECT_EQ(Call(&Stub::LeaseShard, server_.workers(), request, &response).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace lowmark
