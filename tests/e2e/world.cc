#include "tests/e2e/world.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::unique_ptr<ChildProcess> Start(std::vector<std::string> argv, const std::string& log) {
  ProcessOptions options;
  options.argv = std::move(argv);
  options.out = Output::File(log);
  options.err = Output::Stdout();
  auto process = ChildProcess::Start(options);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? *std::move(process) : nullptr;
}

}  // namespace

World::World() {
  std::string name = "/tmp/lowmark-e2e-XXXXXX";
  directory_ = mkdtemp(name.data());
  // PostgreSQL runs as another user where this is root.
  chmod(directory_.c_str(), 0755);
  std::filesystem::create_directory(directory_ + "/source");
  auto cluster = PostgresCluster::Create({});
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  postgres_ = *std::move(cluster);
}

World::~World() {
  workers_.clear();
  coordinators_.clear();
  postgres_.reset();
  if (!testing::Test::HasFailure()) std::filesystem::remove_all(directory_);
}

std::string World::SourceFile(const std::string& name) const {
  return absl::StrCat(directory_, "/source/", name);
}

void World::WriteShards(int shards, int records) {
  shards_ = shards;
  for (int s = 0; s < shards; ++s) {
    const std::string shard = absl::StrCat("s", s);
    const std::string path = SourceFile(shard);
    std::string text;
    for (int n = 1; n <= records; ++n) {
      const char* kind = n % 97 == 0 ? "bad" : n % 31 == 0 ? "flaky" : "good";
      const std::string record = absl::StrCat(shard, "-", n);
      numbers_[shard][absl::StrCat(text.size())] = n;
      records_.insert(record);
      if (n % 97 == 0) bad_.insert(record);
      absl::StrAppend(&text, "{\"n\": ", n, ", \"kind\": \"", kind, "\"}\n");
    }
    std::ofstream(path + ".jsonl") << text;
    std::ofstream(path + ".closed").flush();
  }
}

void World::StartPostgres() {
  const absl::Status started = postgres_->Start();
  ASSERT_TRUE(started.ok()) << started;
  const absl::Status created = postgres_->CreateDatabase("lowmark");
  EXPECT_TRUE(created.ok() || absl::IsAlreadyExists(created)) << created;
}

void World::StartCoordinator(int i) {
  coordinators_[i] =
      Start({COORDINATOR, "serve", "--database", postgres_->ConnectionString("lowmark"), "--listen",
             absl::StrCat("unix:", directory_, "/c", i, ".sock"), "--http-listen", "127.0.0.1:0",
             "--session-ttl", "3s"},
            absl::StrCat(directory_, "/coordinator-", i, ".log"));
}

void World::StartWorker(int i) {
  workers_[i] =
      Start({WORKER, "--coordinator", absl::StrCat("unix:", directory_, "/c0.sock"), "--stream",
             "t", "--source", "file", "--source-path", directory_ + "/source", "--handler", "exec",
             "--handler-command", absl::StrCat(HANDLER, " ", directory_), "--http-listen",
             "127.0.0.1:0", "--grace", "20s", "--sync-interval", "1s"},
            absl::StrCat(directory_, "/worker-", i, ".log"));
}

void World::CreateStream() {
  auto created =
      RunCommand({.argv = {CLI, "streams", "create", "t", "--coordinator",
                           absl::StrCat("unix:", directory_, "/c0.sock"), "--set", "batch_size=20",
                           "--set", "maximum_retry_attempts=2", "--set",
                           "retry_backoff.initial=10ms", "--set", "retry_backoff.maximum=100ms"}},
                 kPatience);
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_TRUE(created->exit.ok()) << created->output << Log("coordinator-0");
}

bool World::Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    poll(nullptr, 0, /*timeout_ms=*/20);
  }
  return true;
}

bool World::AwaitReady(int coordinator) {
  return Await([&] { return absl::StartsWith(Readyz(coordinator), "200"); });
}

bool World::AwaitLines(size_t lines) {
  return Await([&] { return ReadLedger().lines >= lines; });
}

bool World::AwaitDone() {
  return Await([&] {
    auto done = postgres_->Query("lowmark", "SELECT count(*) FROM lowmark.shards WHERE done");
    return done.ok() && absl::StripAsciiWhitespace(*done) == absl::StrCat(shards_);
  });
}

Ledger World::ReadLedger() const {
  Ledger ledger;
  std::set<std::string> taken;
  std::ifstream file(directory_ + "/ledger");
  std::string shard;
  std::string outcome;
  for (int n = 0; file >> shard >> n >> outcome; ++ledger.lines) {
    const std::string record = absl::StrCat(shard, "-", n);
    if (taken.insert(record).second) ledger.first_taken[shard].push_back(n);
    if (outcome == "ok") ++ledger.processed[record];
  }
  return ledger;
}

std::multiset<std::string> World::DeadLetters() {
  std::multiset<std::string> letters;
  auto rows = postgres_->Query(
      "lowmark", "SELECT shard, first_sequence, record_count FROM lowmark.dead_letters");
  EXPECT_TRUE(rows.ok()) << rows.status();
  if (!rows.ok()) return letters;
  for (absl::string_view row : absl::StrSplit(*rows, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> columns = absl::StrSplit(row, '|');
    EXPECT_EQ(columns[2], "1") << row;
    letters.insert(absl::StrCat(columns[0], "-", numbers_[columns[0]][columns[1]]));
  }
  return letters;
}

std::string World::Log(const std::string& part) const {
  return absl::StrCat("\n", part, " said:\n",
                      ReadFile(absl::StrCat(directory_, "/", part, ".log")));
}

std::string World::HttpPort(const std::string& part) const {
  // The last start's line counts: "... http=127.0.0.1:PORT".
  const std::string log = ReadFile(absl::StrCat(directory_, "/", part, ".log"));
  const size_t at = log.rfind("http=127.0.0.1:");
  if (at == std::string::npos) return "";
  return log.substr(at + 15, log.find_first_not_of("0123456789", at + 15) - at - 15);
}

std::string World::Get(const std::string& part, const std::string& path) const {
  const std::string port = HttpPort(part);
  if (port.empty()) return "";
  auto answer = RunCommand(
      {.argv = {"curl", "-s", "-w", "%{http_code}", absl::StrCat("http://127.0.0.1:", port, path)}},
      absl::Seconds(10));
  if (!answer.ok() || !answer->exit.ok()) return "";
  const std::string text(absl::StripAsciiWhitespace(answer->output));
  if (text.size() < 3) return "";
  return absl::StrCat(text.substr(text.size() - 3), " ", text.substr(0, text.size() - 3));
}

std::string World::Readyz(int coordinator) const {
  return Get(absl::StrCat("coordinator-", coordinator), "/readyz");
}

}  // namespace lowmark
