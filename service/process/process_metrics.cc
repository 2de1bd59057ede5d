#include "service/process/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/process/version.h"

namespace lowmark {
namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// When the machine started, in seconds since 1970; 0 where that is unknown.
double BootTime() {
  const std::string stat = ReadFile("/proc/stat");
  for (absl::string_view line : absl::StrSplit(stat, '\n')) {
    double seconds = 0;
    if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtod(line, &seconds)) return seconds;
  }
  return 0;
}

class Families {
 public:
  void Add(const char* name, const char* help, prometheus::MetricType type, double value,
           std::vector<prometheus::ClientMetric::Label> labels = {}) {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
    families_.push_back(std::move(family));
  }

  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

// proc(5): the fields of /proc/self/stat after the name in parentheses, of which
// the first is the third of all.
void AddStat(Families& families) {
  const std::string stat = ReadFile("/proc/self/stat");
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return;
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  const auto field = [&](size_t number) {
    double value = 0;
    if (number - 3 < fields.size()) (void)absl::SimpleAtod(fields[number - 3], &value);
    return value;
  };
  using prometheus::MetricType;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  families.Add("process_cpu_seconds_total", "CPU time spent, in user and system mode.",
               MetricType::Counter, (field(14) + field(15)) / ticks);
  families.Add("process_virtual_memory_bytes", "Size of the virtual memory.", MetricType::Gauge,
               field(23));
  families.Add("process_resident_memory_bytes", "Size of the memory in RAM.", MetricType::Gauge,
               field(24) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  if (const double boot = BootTime(); boot > 0) {
    families.Add("process_start_time_seconds", "When the process started, since the epoch.",
                 MetricType::Gauge, boot + field(22) / ticks);
  }
}

void AddFiles(Families& families) {
  std::error_code error;
  // One of them is that of the listing itself.
  double open = -1;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error)) {
    ++open;
  }
  if (open >= 0) {
    families.Add("process_open_fds", "Open file descriptors.", prometheus::MetricType::Gauge, open);
  }
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.Add("process_max_fds", "How many file descriptors may be open.",
                 prometheus::MetricType::Gauge, static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  Families families;
  AddStat(families);
  AddFiles(families);
  families.Add("lowmark_build_info", "Always 1; the label says which version runs.",
               prometheus::MetricType::Gauge, 1, {{"version", std::string(Version())}});
  return families.Take();
}

}  // namespace lowmark
