#include "service/process/endpoint.h"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/process/child_process.h"
#include "service/process/process_metrics.h"
#include "service/process/version.h"

namespace lowmark {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

struct Answer {
  long code = 0;
  std::string body;
  std::string type;
};

size_t Append(char* data, size_t, size_t size, void* body) {
  static_cast<std::string*>(body)->append(data, size);
  return size;
}

Answer Fetch(const Endpoint& endpoint, const std::string& path, const char* method = "GET") {
  Answer answer;
  CURL* curl = curl_easy_init();
  const std::string url = absl::StrCat("http://", endpoint.address(), path);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_NOBODY, std::string(method) == "HEAD" ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
  const CURLcode result = curl_easy_perform(curl);
  EXPECT_EQ(result, CURLE_OK) << curl_easy_strerror(result);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.code);
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) answer.type = type;
  curl_easy_cleanup(curl);
  return answer;
}

std::unique_ptr<Endpoint> Started(EndpointOptions options) {
  auto endpoint = Endpoint::Start(std::move(options));
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return endpoint.ok() ? *std::move(endpoint) : nullptr;
}

TEST(Endpoint, TellsWhichFreePortItTook) {
  auto first = Started({});
  auto second = Started({});
  ASSERT_TRUE(first && second);
  EXPECT_GT(first->port(), 0);
  EXPECT_NE(first->port(), second->port());
  EXPECT_EQ(first->address(), absl::StrCat("127.0.0.1:", first->port()));
}

TEST(Endpoint, ListensOnAllAddresses) {
  for (const char* listen : {"0.0.0.0:0", "localhost:0", "[::1]:0"}) {
    auto endpoint = Endpoint::Start({.listen = listen});
    // A machine may be without IPv6.
    if (!endpoint.ok() && std::string(listen) == "[::1]:0") continue;
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(Fetch(**endpoint, "/livez").code, 200) << listen;
  }
}

TEST(Endpoint, ServesMetrics) {
  auto registry = std::make_shared<prometheus::Registry>();
  auto& family =
      prometheus::BuildCounter().Name("lowmark_batches_total").Help("Batches.").Register(*registry);
  family.Add({{"stream", "a \"b\"\n\\"}}).Increment(3);
  auto endpoint = Started({.metrics = {registry, std::make_shared<ProcessMetrics>()}});
  ASSERT_TRUE(endpoint);
  const Answer answer = Fetch(*endpoint, "/metrics");
  EXPECT_EQ(answer.code, 200);
  EXPECT_THAT(answer.type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(answer.body, HasSubstr("lowmark_batches_total{stream=\"a \\\"b\\\"\\n\\\\\"} 3\n"));
  EXPECT_THAT(answer.body, HasSubstr("process_open_fds "));
}

TEST(Endpoint, PromtoolFindsNothingWrongWithItsMetrics) {
  auto endpoint = Started({.metrics = {std::make_shared<ProcessMetrics>()}});
  ASSERT_TRUE(endpoint);
  const std::string path = testing::TempDir() + absl::StrCat("metrics.", getpid());
  std::ofstream(path) << Fetch(*endpoint, "/metrics").body;
  auto result = RunCommand({.argv = {"sh", "-c", absl::StrCat("promtool check metrics < ", path)}},
                           absl::Seconds(30));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->exit.ok()) << result->output;
  EXPECT_EQ(result->output, "");
  std::filesystem::remove(path);
}

TEST(Endpoint, SaysWhyItIsNotReady) {
  std::atomic<bool> ready = false;
  auto endpoint = Started({.ready = [&]() -> absl::Status {
    if (ready) return absl::OkStatus();
    return absl::UnavailableError("the database is out of reach");
  }});
  ASSERT_TRUE(endpoint);
  Answer answer = Fetch(*endpoint, "/readyz");
  EXPECT_EQ(answer.code, 503);
  EXPECT_EQ(answer.body, "not ready: the database is out of reach\n");
  EXPECT_EQ(Fetch(*endpoint, "/livez").code, 200);
  ready = true;
  answer = Fetch(*endpoint, "/readyz");
  EXPECT_EQ(answer.code, 200);
  EXPECT_EQ(answer.body, "ready\n");
}

TEST(Endpoint, NamesWhatThereIs) {
  auto endpoint = Started({});
  ASSERT_TRUE(endpoint);
  for (const char* path :
       {"/", "/metricsx", "/metrics/x", "/../../etc/passwd", "/%00", "/readyz/"}) {
    const Answer answer = Fetch(*endpoint, path);
    EXPECT_EQ(answer.code, 404) << path;
    EXPECT_THAT(answer.body, EndsWith("there is /metrics, /livez and /readyz\n")) << path;
  }
  EXPECT_EQ(Fetch(*endpoint, "/livez?verbose=1").code, 200);
}

TEST(Endpoint, AllowsOnlyReading) {
  auto endpoint = Started({});
  ASSERT_TRUE(endpoint);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_EQ(Fetch(*endpoint, "/livez", method).code, 405) << method;
  }
  const Answer head = Fetch(*endpoint, "/livez", "HEAD");
  EXPECT_EQ(head.code, 200);
  EXPECT_EQ(head.body, "");
}

TEST(Endpoint, SaysWhyItCannotListen) {
  auto first = Started({});
  ASSERT_TRUE(first);
  auto second = Endpoint::Start({.listen = first->address()});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(first->address()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
  for (const char* listen : {"", "7071", ":7071", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1",
                             "127.0.0.1:80,81", "127.0.0.1:443s"}) {
    auto endpoint = Endpoint::Start({.listen = listen});
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument) << listen;
  }
}

TEST(ProcessMetrics, AreThoseOfThisProcess) {
  std::map<std::string, double> values;
  for (const auto& family : ProcessMetrics().Collect()) {
    values[family.name] = family.type == prometheus::MetricType::Counter
                              ? family.metric[0].counter.value
                              : family.metric[0].gauge.value;
    if (family.name == "lowmark_build_info") {
      EXPECT_EQ(family.metric[0].label[0].value, std::string(Version()));
    }
  }
  EXPECT_EQ(values.size(), 7u);
  EXPECT_GE(values["process_cpu_seconds_total"], 0);
  EXPECT_GT(values["process_resident_memory_bytes"], 1 << 20);
  EXPECT_GT(values["process_virtual_memory_bytes"], values["process_resident_memory_bytes"]);
  EXPECT_GE(values["process_open_fds"], 3);
  EXPECT_GE(values["process_max_fds"], values["process_open_fds"]);
  // Started within the last day.
  const double now = static_cast<double>(absl::ToUnixSeconds(absl::Now()));
  EXPECT_GT(values["process_start_time_seconds"], now - 86400);
  EXPECT_LE(values["process_start_time_seconds"], now + 5);
  const int extra = dup(0);
  for (const auto& family : ProcessMetrics().Collect()) {
    if (family.name != "process_open_fds") continue;
    EXPECT_EQ(family.metric[0].gauge.value, values["process_open_fds"] + 1);
  }
  close(extra);
}

}  // namespace
}  // namespace lowmark
