#include "tests/e2e/world.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tests/support/standby.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::unique_ptr<ChildProcess> Start(
    std::vector<std::string> argv, const std::string& log,
    const std::vector<std::pair<std::string, std::string>>& env = {}) {
  ProcessOptions options;
  options.argv = std::move(argv);
  options.env = env;
  options.out = Output::File(log);
  options.err = Output::Stdout();
  auto process = ChildProcess::Start(options);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? *std::move(process) : nullptr;
}

}  // namespace

World::World(WorldOptions options) : options_(std::move(options)) {
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
  standby_.reset();
  postgres_.reset();
  if (!testing::Test::HasFailure()) std::filesystem::remove_all(directory_);
}

std::string World::SourceFile(const std::string& name) const {
  return absl::StrCat(directory_, "/source/", name);
}

void World::OpenShards(int shards) {
  for (int s = 0; s < shards; ++s) {
    const std::string shard = absl::StrCat("s", s);
    shards_[shard] = {};
    std::ofstream(SourceFile(shard + ".jsonl")).flush();
  }
}

void World::Append(int records) {
  for (auto& [shard, written] : shards_) {
    std::string text;
    for (int i = 0; i < records; ++i) {
      const int n = ++written.records;
      const std::string kind = KindOf(n);
      Expect(shard, n, absl::StrCat(written.bytes + text.size()), kind);
      absl::StrAppend(&text, "{\"n\": ", n, ", \"kind\": \"", kind, "\"}\n");
    }
    written.bytes += text.size();
    std::ofstream(SourceFile(shard + ".jsonl"), std::ios::app) << text;
  }
}

void World::Expect(const std::string& shard, int n, const std::string& sequence,
                   const std::string& kind) {
  const std::string record = absl::StrCat(shard, "-", n);
  numbers_[shard][sequence] = n;
  records_.insert(record);
  if (kind == "bad") bad_.insert(record);
}

void World::CloseShards() {
  feed_ = false;
  for (const auto& entry : shards_) std::ofstream(SourceFile(entry.first + ".closed")).flush();
}

void World::WriteShards(int shards, int records) {
  OpenShards(shards);
  Append(records);
  CloseShards();
}

void World::StartPostgres() {
  const absl::Status started = postgres_->Start();
  ASSERT_TRUE(started.ok()) << started;
  const absl::Status created = postgres_->CreateDatabase("lowmark");
  EXPECT_TRUE(created.ok() || absl::IsAlreadyExists(created)) << created;
}

void World::AddStandby() {
  standby_ = MakeStandby(*postgres_, directory_ + "/standby");
  UseDatabase(ConnectionStringOfBoth(*postgres_, *standby_, "lowmark"));
}

void World::PromoteStandby() {
  Promote(*standby_);
  std::swap(postgres_, standby_);
}

// Loopback has 2^24 addresses: those of a process are its own, and a port is free
// there, also after a restart.
std::string World::Address(int i) {
  const pid_t pid = getpid();
  return absl::StrCat("127.", (pid >> 14) & 255, ".", (pid >> 6) & 255, ".", ((pid & 63) << 2) + i,
                      ":17070");
}

std::string World::Target() const {
  if (!options_.target.empty()) return options_.target;
  std::string target = "ipv4:";
  for (int i = 0; i < options_.coordinators; ++i) {
    absl::StrAppend(&target, i == 0 ? "" : ",", Address(i));
  }
  return target;
}

void World::StartCoordinator(int i, const std::string& address) {
  const std::string database =
      database_.empty() ? postgres_->ConnectionString("lowmark") : database_;
  std::vector<std::string> argv = {
      COORDINATOR,        "serve",
      "--database",       database,
      "--listen",         address,
      "--http-listen",    "127.0.0.1:0",
      "--session-ttl",    absl::FormatDuration(options_.session_ttl),
      "--connection-age", absl::FormatDuration(options_.connection_age)};
  argv.insert(argv.end(), options_.serve.begin(), options_.serve.end());
  coordinators_[i] = Start(std::move(argv), absl::StrCat(directory_, "/coordinator-", i, ".log"));
}

void World::StartWorker(int i) {
  std::vector<std::string> argv = {WORKER, "--coordinator",   Target(),      "--stream",
                                   "t",    "--http-listen",   "127.0.0.1:0", "--grace",
                                   "20s",  "--sync-interval", "1s"};
  const std::vector<std::string> files = {"--source", "file", "--source-path",
                                          directory_ + "/source"};
  const std::vector<std::string> program = {
      "--handler", "exec", "--handler-command",
      handler_.empty() ? absl::StrCat(HANDLER, " ", directory_) : handler_};
  for (const auto& part :
       {options_.source.empty() ? files : options_.source,
        options_.handler.empty() ? program : options_.handler, options_.worker}) {
    argv.insert(argv.end(), part.begin(), part.end());
  }
  workers_[i] =
      Start(std::move(argv), absl::StrCat(directory_, "/worker-", i, ".log"), options_.worker_env);
}

void World::CreateStream(const std::string& stream, const std::vector<std::string>& sets) {
  std::vector<std::string> arguments = {"streams", "create", stream};
  for (const char* set : {"batch_size=20", "maximum_retry_attempts=2", "retry_backoff.initial=10ms",
                          "retry_backoff.maximum=100ms"}) {
    arguments.insert(arguments.end(), {"--set", set});
  }
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  Cli(std::move(arguments));
}

std::string World::Cli(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), CLI);
  arguments.insert(arguments.end(), {"--coordinator", Target()});
  arguments.insert(arguments.end(), options_.cli.begin(), options_.cli.end());
  auto result = RunCommand({.argv = std::move(arguments)}, kPatience);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  EXPECT_TRUE(result->exit.ok()) << result->output << Log("coordinator-0");
  return result->output;
}

std::string World::CliFails(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), CLI);
  auto result = RunCommand({.argv = std::move(arguments)}, kPatience);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  EXPECT_FALSE(result->exit.ok()) << result->output;
  EXPECT_EQ(std::count(result->output.begin(), result->output.end(), '\n'), 1) << result->output;
  return result->output;
}

bool World::Await(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    if (feed_) Append(1);
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

bool World::Stop(ChildProcess& process) {
  process.Signal(SIGTERM);
  std::optional<ExitStatus> exit;
  const bool ended = Await([&] {
    exit = process.Wait(absl::ZeroDuration());
    return exit.has_value();
  });
  EXPECT_TRUE(ended && exit->ok()) << (ended ? exit->ToString() : "does not stop");
  return ended && exit->ok();
}

bool World::AwaitProcessed() {
  return Await([&] {
    return ReadLedger().processed.size() == records_.size() - bad_.size() &&
           DeadLetters().size() == bad_.size();
  });
}

bool World::AwaitDone() {
  return Await([&] {
    auto done = postgres_->Query("lowmark", "SELECT count(*) FROM lowmark.shards WHERE done");
    return done.ok() && absl::StripAsciiWhitespace(*done) == absl::StrCat(shards_.size());
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

std::map<std::string, int> World::CheckLedger() {
  const Ledger ledger = ReadLedger();
  const std::multiset<std::string> letters = DeadLetters();
  EXPECT_EQ(std::set<std::string>(letters.begin(), letters.end()), bad_);
  EXPECT_EQ(letters.size(), bad_.size()) << "a record was set aside twice";
  std::map<std::string, int> again;
  for (const std::string& record : records_) {
    const auto found = ledger.processed.find(record);
    const int times = found == ledger.processed.end() ? 0 : found->second;
    EXPECT_EQ(times > 0, !bad_.contains(record)) << record;
    if (times > 1) again[record.substr(0, record.rfind('-'))] += times - 1;
  }
  for (const auto& [shard, numbers] : ledger.first_taken) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << shard << " out of order";
  }
  return again;
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

std::string World::HttpAddress(const std::string& part) const {
  // The last start's line counts: "... http=127.0.0.1:PORT".
  const std::string log = ReadFile(absl::StrCat(directory_, "/", part, ".log"));
  const size_t at = log.rfind("http=127.0.0.1:");
  if (at == std::string::npos) return "";
  return log.substr(at + 5, log.find_first_not_of("0123456789", at + 15) - at - 5);
}

std::string World::Get(const std::string& part, const std::string& path) const {
  const std::string address = HttpAddress(part);
  if (address.empty()) return "";
  auto answer = RunCommand(
      {.argv = {"curl", "-s", "-w", "%{http_code}", absl::StrCat("http://", address, path)}},
      absl::Seconds(10));
  if (!answer.ok() || !answer->exit.ok()) return "";
  const std::string text(absl::StripAsciiWhitespace(answer->output));
  if (text.size() < 3) return "";
  return absl::StrCat(text.substr(text.size() - 3), " ", text.substr(0, text.size() - 3));
}

std::string World::Readyz(int coordinator) const {
  return Get(absl::StrCat("coordinator-", coordinator), "/readyz");
}

std::map<std::string, double> World::Metric(const std::string& part, const std::string& name) {
  std::map<std::string, double> series;
  std::string text;
  EXPECT_TRUE(Await([&] {
    text = Get(part, "/metrics");
    return absl::StartsWith(text, "200 ");
  })) << part
      << " tells no metrics: " << text;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name)) continue;
    const size_t space = line.rfind(' ');
    double value = 0;
    if (space == absl::string_view::npos || !absl::SimpleAtod(line.substr(space), &value)) continue;
    if (line[0] == '{' || line[0] == ' ') series[std::string(line.substr(0, space))] = value;
  }
  return series;
}

}  // namespace lowmark
