#include "tests/bench/servers.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(60);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The field `key` of the first log line with this message, or with any, that has it;
// empty where none has.
std::string LoggedField(const std::string& log, const char* key, const char* message = "") {
  for (const auto line : absl::StrSplit(log, '\n')) {
    const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr,
                                            /*allow_exceptions=*/false);
    if (*message != 0 && (!json.is_object() || json.value("message", "") != message)) continue;
    if (json.is_object() && json.contains(key)) return json[key].get<std::string>();
  }
  return "";
}

size_t Append(char* data, size_t size, size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

absl::StatusOr<std::string> Get(const std::string& url) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  std::string text;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK) return text;
  return absl::UnavailableError(absl::StrCat("cannot read ", url, ": ", curl_easy_strerror(code)));
}

}  // namespace

absl::StatusOr<ServerProcess> StartCoordinator(const std::string& program,
                                               const std::string& connection,
                                               const std::string& log,
                                               const std::vector<std::string>& arguments) {
  ProcessOptions options;
  options.argv = {program,       "serve",         "--database",  connection,     "--listen",
                  "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--log-format", "json"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.out = Output::File(log);
  options.err = Output::Stdout();
  auto process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  ServerProcess server;
  server.process = *std::move(process);
  const SteadyTime deadline = SteadyDeadline(kStartTimeout);
  // It says where it listens once it can be used.
  while ((server.address = LoggedField(ReadFile(log), "grpc", "ready")).empty()) {
    if (server.process->Wait(absl::Milliseconds(20)) ||
        std::chrono::steady_clock::now() > deadline) {
      return absl::UnavailableError(absl::StrCat(program, " does not serve: ", ReadFile(log)));
    }
  }
  server.http_address = LoggedField(ReadFile(log), "http");
  return server;
}

absl::StatusOr<ServerProcess> StartEmptyServer(const std::string& program) {
  ProcessOptions options;
  options.argv = {program, "127.0.0.1:0"};
  options.out = Output::Pipe();
  auto process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  ServerProcess server;
  server.process = *std::move(process);
  auto port = server.process->ReadLine(kStartTimeout);
  if (!port.ok()) return port.status();
  server.address = absl::StrCat("127.0.0.1:", *port);
  return server;
}

absl::StatusOr<Commits> ReadCommits(const std::string& http_address) {
  auto text = Get(absl::StrCat("http://", http_address, "/metrics"));
  if (!text.ok()) return text.status();
  Commits commits;
  for (const auto line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double* value = words[0] == "lowmark_commit_group_size_count" ? &commits.groups
                    : words[0] == "lowmark_commit_group_size_sum" ? &commits.updates
                                                                  : nullptr;
    if (value != nullptr && (words.size() < 2 || !absl::SimpleAtod(words[1], value))) {
      return absl::InternalError(absl::StrCat("a metric without a number: ", line));
    }
  }
  return commits;
}

absl::StatusOr<double> SumMetric(const std::string& http_address, const std::string& name,
                                 const std::vector<std::string>& labels) {
  auto text = Get(absl::StrCat("http://", http_address, "/metrics"));
  if (!text.ok()) return text.status();
  double sum = 0;
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  for (const std::string& line : lines) {
    if (line.rfind(name, 0) != 0) continue;
    const std::pair<std::string, std::string> sample = absl::StrSplit(line, ' ');
    const std::string series = sample.first.substr(name.size());
    if (!series.empty() && series[0] != '{') continue;
    const bool wanted = std::all_of(labels.begin(), labels.end(), [&](const std::string& label) {
      return absl::StrContains(series, label);
    });
    double value = 0;
    if (wanted && absl::SimpleAtod(sample.second, &value)) sum += value;
  }
  return sum;
}

}  // namespace lowmark
