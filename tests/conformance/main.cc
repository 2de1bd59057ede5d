// Plays conformance cases; README.md in this folder says what those are.
#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/case.h"
#include "tests/conformance/core_shard.h"
#include "tests/conformance/play.h"
#include "tests/conformance/real_shard.h"
#include "tests/conformance/servers.h"

namespace lowmark::conformance {
namespace {

using MakeShard = std::function<std::unique_ptr<ShardUnderTest>()>;

// One case in one of the two ways.
struct Task {
  const Case* played;
  const char* way;
  std::promise<std::string> line;
};

struct Tally {
  int ok = 0;
  int failed = 0;
};

// The case's line of the report.
std::string PlayCase(const Case& c, const char* way, const MakeShard& make_shard) {
  const std::string name = absl::StrCat(way, "  ", c.id);
  const std::string differences = Differences(c, Play(c, Reading::kAnyOf, *make_shard()));
  if (differences.empty()) return absl::StrCat("ok    ", name);
  if (IsAmbiguous(c) && Differences(c, Play(c, Reading::kAllOf, *make_shard())).empty()) {
    return absl::StrCat("ok    ", name, " (when_has read as all of its records)");
  }
  return absl::StrCat("FAIL  ", name, ": ", differences);
}

class Runner {
 public:
  explicit Runner(int jobs) : jobs_(jobs) {}

  void PlayOnCore(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
      Print(PlayCase(c, "core", [] { return std::make_unique<CoreShard>(); }));
    }
  }

  absl::Status PlayOnReal(const std::vector<Case>& cases, const std::string& coordinator) {
    auto servers = Servers::Start(coordinator);
    if (!servers.ok()) return servers.status();
    std::vector<Task> together;
    std::vector<Task> alone;  // a restart of the coordinator disturbs the others
    for (const Case& c : cases) (c.Restarts() ? alone : together).push_back({&c, "real", {}});
    PlayTogether(together, jobs_, **servers);
    PlayTogether(alone, 1, **servers);
    return absl::OkStatus();
  }

  void PrintError(const std::string& error) {
    ++tally_.failed;
    std::cout << "FAIL  " << error << std::endl;
  }

  // The closing line; the process' exit code.
  int Finish() const {
    std::cout << tally_.ok << " ok, " << tally_.failed << " failed" << std::endl;
    return tally_.failed == 0 ? 0 : 1;
  }

 private:
  // Plays tasks on several threads, printing in the order of the files.
  void PlayTogether(std::vector<Task>& tasks, int jobs, Servers& servers) {
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < jobs; ++i) {
      threads.emplace_back([&] {
        for (size_t t = next++; t < tasks.size(); t = next++) {
          tasks[t].line.set_value(PlayCase(*tasks[t].played, tasks[t].way, [&] {
            return std::make_unique<RealShard>(servers, absl::StrCat("case-", ++streams_));
          }));
        }
      });
    }
    for (Task& task : tasks) Print(task.line.get_future().get());
    for (std::thread& thread : threads) thread.join();
  }

  void Print(const std::string& line) {
    ++(line.rfind("ok", 0) == 0 ? tally_.ok : tally_.failed);
    std::cout << line << std::endl;
  }

  const int jobs_;
  std::atomic<int> streams_{0};
  Tally tally_;
};

int Main(int argc, char** argv) {
  CLI::App app{"Plays conformance cases on the pure core and on a real coordinator."};
  std::vector<std::string> files;
  std::string way = "both";
  std::string coordinator;
  int jobs = 16;
  app.add_option("FILE", files, "Files of cases")->required();
  app.add_option("--way", way, "core, real or both")
      ->check(CLI::IsMember({"core", "real", "both"}))
      ->capture_default_str();
  app.add_option("--coordinator", coordinator, "The lowmark-coordinator program");
  app.add_option("--jobs", jobs, "Cases played at the same time on the real coordinator")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Runner runner(jobs);
  std::vector<Case> cases;
  for (const std::string& file : files) {
    CaseFile read = ReadCases(file);
    for (const std::string& error : read.errors) runner.PrintError(error);
    for (Case& c : read.cases) cases.push_back(std::move(c));
  }
  if (way != "real") runner.PlayOnCore(cases);
  if (way != "core") {
    if (absl::Status s = runner.PlayOnReal(cases, coordinator); !s.ok()) {
      runner.PrintError(absl::StrCat("the real way: ", std::string(s.message())));
    }
  }
  return runner.Finish();
}

}  // namespace
}  // namespace lowmark::conformance

int main(int argc, char** argv) { return lowmark::conformance::Main(argc, argv); }
