#include "tests/bench/machine.h"

#include <sys/utsname.h>
#include <sys/vfs.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

constexpr long kTmpfs = 0x01021994;

// "AMD EPYC", as the kernel names it.
std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string Machine() {
  utsname name{};
  uname(&name);
  return absl::StrFormat("%d cores, %s, Linux %s", std::thread::hardware_concurrency(), Processor(),
                         name.release);
}

absl::StatusOr<std::unique_ptr<PostgresCluster>> StartDurablePostgres(
    const std::string& directory, const std::vector<std::string>& settings) {
  struct statfs filesystem {};
  if (statfs(directory.c_str(), &filesystem) != 0 || filesystem.f_type == kTmpfs) {
    return absl::InvalidArgumentError(
        absl::StrCat(directory,
                     " is in memory or does not exist, and nothing there is durable: choose a "
                     "directory on a disk (--directory)"));
  }
  // Where PostgresCluster makes its temporary directory.
  setenv("TMPDIR", directory.c_str(), 1);
  PostgresClusterOptions options;
  options.fsync = true;
  options.settings = settings;
  auto cluster = PostgresCluster::Create(options);
  if (!cluster.ok()) return cluster.status();
  if (auto s = (*cluster)->Start(); !s.ok()) return s;
  return cluster;
}

absl::StatusOr<std::string> DescribePostgres(const PostgresCluster& cluster) {
  auto settings = cluster.Query(
      "postgres",
      "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') || "
      "', synchronous_commit ' || current_setting('synchronous_commit')");
  if (!settings.ok()) return settings.status();
  return absl::StrCat("PostgreSQL ", *settings);
}

}  // namespace lowmark
