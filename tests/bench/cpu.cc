#include "tests/bench/cpu.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lowmark {
namespace {

// The fields of /proc/PID/stat from the third on; empty where there is no such
// process. The second is a name in parentheses that may hold anything.
std::vector<std::string> StatFields(const std::string& pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string stat = text.str();
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat.size()) return {};
  return absl::StrSplit(stat.substr(name_end + 2), ' ');
}

constexpr size_t kParent = 1;
constexpr size_t kUserTicks = 11;
constexpr size_t kSystemTicks = 12;

absl::Duration Sum(const std::vector<std::string>& fields) {
  int64_t user = 0;
  int64_t system = 0;
  if (fields.size() <= kSystemTicks || !absl::SimpleAtoi(fields[kUserTicks], &user) ||
      !absl::SimpleAtoi(fields[kSystemTicks], &system)) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(1) * (user + system) / sysconf(_SC_CLK_TCK);
}

}  // namespace

absl::Duration CpuTime(pid_t pid) { return Sum(StatFields(absl::StrCat(pid))); }

absl::Duration CpuTimeOfChildren(pid_t parent) {
  const std::string wanted = absl::StrCat(parent);
  absl::Duration total;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::vector<std::string> fields = StatFields(pid);
    if (fields.size() > kParent && fields[kParent] == wanted) total += Sum(fields);
  }
  return total;
}

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace lowmark
