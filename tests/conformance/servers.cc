#include "tests/conformance/servers.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace lowmark::conformance {
namespace {

// Short, so that the shards of workers that die are soon free. A worker that is
// merely slow loses nothing: its session stays until another worker wants it.
constexpr char kSessionTtl[] = "300ms";
constexpr std::chrono::seconds kStartTimeout{30};

std::string LogTail(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string log = text.str();
  constexpr size_t kShown = 2000;
  return log.size() > kShown ? log.substr(log.size() - kShown) : log;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Servers>> Servers::Start(const std::string& coordinator) {
  std::unique_ptr<Servers> servers(new Servers());
  servers->program_ = coordinator;
  std::string directory = (std::filesystem::temp_directory_path() / "lowmark-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    return absl::InternalError(absl::StrCat("cannot create ", directory));
  }
  servers->directory_ = directory;
  auto postgres = PostgresCluster::Create({});
  if (!postgres.ok()) return postgres.status();
  servers->postgres_ = *std::move(postgres);
  if (auto s = servers->postgres_->Start(); !s.ok()) return s;
  servers->channel_ = Connect(directory + "/coordinator.sock");
  if (auto s = servers->StartCoordinator(); !s.ok()) return s;
  return servers;
}

Servers::~Servers() {
  coordinator_.reset();
  postgres_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

absl::Status Servers::RestartCoordinator() {
  coordinator_->Kill();
  return StartCoordinator();
}

absl::Status Servers::StartCoordinator() {
  const std::string log = directory_ + "/coordinator.log";
  ProcessOptions options;
  options.argv = {program_,        "serve",
                  "--database",    postgres_->ConnectionString(),
                  "--listen",      absl::StrCat("unix:", directory_, "/coordinator.sock"),
                  "--http-listen", "127.0.0.1:0",
                  "--session-ttl", kSessionTtl};
  options.out = Output::File(log);
  options.err = Output::Stdout();
  auto coordinator = ChildProcess::Start(options);
  if (!coordinator.ok()) return coordinator.status();
  coordinator_ = *std::move(coordinator);
  if (channel_->WaitForConnected(std::chrono::system_clock::now() + kStartTimeout)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat(program_, " does not answer; the end of its log:\n", LogTail(log)));
}

}  // namespace lowmark::conformance
