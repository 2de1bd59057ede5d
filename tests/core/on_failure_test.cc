#include "service/core/on_failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/policy.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

using Http = OnFailure::Http;
using Kafka = OnFailure::Kafka;
using Directory = OnFailure::Directory;

// The words of a refusal, as the policy as a whole gives it; "" for none.
std::string Refusal(decltype(OnFailure::destination) destination) {
  Policy policy;
  policy.on_failure.destination = std::move(destination);
  const absl::Status status = policy.Validate();
  if (!status.ok()) {
    EXPECT_EQ(Reason(status), kInvalidArgument);
  }
  return std::string(status.message());
}

std::string Text(size_t size) { return std::string(size, 'x'); }

TEST(OnFailure, IsNotSetByDefaultAndValid) {
  EXPECT_FALSE(OnFailure().set());
  EXPECT_TRUE(OnFailure().Validate().ok());
  EXPECT_FALSE(OnFailure().UsesSecrets());
}

TEST(OnFailure, AcceptsDestinationsUpToTheirEdges) {
  OnFailure::Texts headers;
  for (int i = 0; i < 32; ++i) headers[absl::StrCat("X-Header-", i)] = Text(4096);
  const std::vector<decltype(OnFailure::destination)> good = {
      Http{"http://localhost", {}},
      Http{"https://user.example:8443/a/b?c=d&e=%20#f", headers},
      Http{"http://[::1]:80/", {{"Authorization", "Bearer ${secret:orders-token}"}}},
      Http{absl::StrCat("http://", Text(2041)), {{"!#$%&'*+-.^_`|~09azAZ", "1 2\xC3\xA9"}}},
      Kafka{"kafka:9092", "letters", {}},
      Kafka{"a:1,b.example:2,[::1]:3", Text(249), {{"ssl.ca.pem", "a\nb\n"}}},
      Kafka{"a", "A.b_c-9", {{"sasl.password", "${secret:p}"}, {"client.id", Text(16384)}}},
      Directory{"letters"},
      Directory{"a/b-c/d_e.f:g"},
      Directory{Text(255)},
  };
  for (size_t i = 0; i < good.size(); ++i) EXPECT_EQ(Refusal(good[i]), "") << i;
}

TEST(OnFailure, RefusesUrlsThatAreNone) {
  for (const std::string& url :
       {std::string(""), std::string("localhost:8080"), std::string("ftp://host/"),
        std::string("file:///etc/passwd"), std::string("http://"), std::string("http:///path"),
        std::string("http://a b"), std::string("http://host/\n"), std::string("http://h\xC3\xA9"),
        std::string("HTTP://host"), absl::StrCat("http://", Text(2042))}) {
    EXPECT_THAT(Refusal(Http{url, {}}), HasSubstr("config.on_failure.http.url is ")) << url;
  }
  EXPECT_THAT(Refusal(Http{"http://me:secret@host/", {}}), HasSubstr("must hold no password"));
}

TEST(OnFailure, RefusesHeadersThatAreNone) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "v"},
      {"a b", "v"},
      {"a:", "v"},
      {"a\r\nb", "v"},
      {Text(129), "v"},
      {"a", ""},
      {"a", "b\r\nc: d"},
      {"a", Text(4097)},
      {"a", "${env:HOME}"},
      {"a", "${secret:../key}"},
      {"a", "${secret:.key}"},
      {"a", "${secret:x"},
      {"a", "${"},
  };
  for (const auto& [name, value] : bad) {
    EXPECT_THAT(Refusal(Http{"http://h", {{name, value}}}),
                HasSubstr("config.on_failure.http.headers"))
        << name << ": " << value;
  }
  for (const char* own : {"Content-Type", "content-length", "HOST", "Idempotency-Key",
                          "Transfer-Encoding", "Expect", "Connection"}) {
    EXPECT_THAT(Refusal(Http{"http://h", {{own, "v"}}}),
                HasSubstr("set by the coordinator itself"));
  }
  OnFailure::Texts many;
  for (int i = 0; i < 33; ++i) many[absl::StrCat("h", i)] = "v";
  EXPECT_THAT(Refusal(Http{"http://h", many}), HasSubstr("33 entries"));
}

TEST(OnFailure, RefusesTopicsThatAreNone) {
  for (const char* brokers : {"", ",", "a:1,", "a b", "a/b", "a=b"}) {
    EXPECT_THAT(Refusal(Kafka{brokers, "t", {}}), HasSubstr("config.on_failure.kafka.brokers"))
        << brokers;
  }
  for (const std::string& topic :
       {std::string(""), std::string("."), std::string(".."), std::string("a/b"), Text(250)}) {
    EXPECT_THAT(Refusal(Kafka{"a:1", topic, {}}), HasSubstr("config.on_failure.kafka.topic"))
        << topic;
  }
}

// Whoever may change a stream must not come to run programs, load libraries or read
// files on the coordinator's host by it.
TEST(OnFailure, RefusesPropertiesThatReachIntoTheHost) {
  for (const char* name :
       {"plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "ssl.ca.location",
        "ssl.key.location", "ssl.keystore.location", "ssl.providers", "sasl.oauthbearer.config",
        "sasl.oauthbearer.token.endpoint.url", "debug", "acks", "enable.idempotence",
        "bootstrap.servers", "test.mock.num.brokers", "no.such.property", ""}) {
    const std::string refusal = Refusal(Kafka{"a:1", "t", {{name, "1"}}});
    EXPECT_THAT(refusal, HasSubstr("config.on_failure.kafka.properties is ")) << name;
    EXPECT_THAT(refusal, HasSubstr("sasl.password")) << "it says what is allowed";
  }
  for (const std::string& value : {std::string(), std::string("a\rb"), Text(16385)}) {
    EXPECT_THAT(Refusal(Kafka{"a:1", "t", {{"client.id", value}}}),
                HasSubstr("config.on_failure.kafka.properties[client.id]"));
  }
}

TEST(OnFailure, RefusesPathsThatLeadOutOfTheRoot) {
  for (const std::string& path :
       {std::string(""), std::string("/"), std::string("/etc"), std::string("a/"),
        std::string("a//b"), std::string("."), std::string(".."), std::string("a/../b"),
        std::string("a/.hidden"), std::string("a b"), std::string("a\nb"), std::string("a\\b"),
        Text(256)}) {
    EXPECT_THAT(Refusal(Directory{path}), HasSubstr("config.on_failure.directory.path")) << path;
  }
}

TEST(OnFailure, ChecksWhatDestinationsHaveInCommon) {
  using Change = std::function<void(OnFailure&)>;
  const std::vector<std::pair<Change, std::string>> bad = {
      {[](OnFailure& o) { o.timeout = absl::Milliseconds(999); }, "timeout"},
      {[](OnFailure& o) { o.timeout = absl::Milliseconds(30001); }, "timeout"},
      {[](OnFailure& o) { o.maximum_data_bytes = -1; }, "maximum_data_bytes"},
      {[](OnFailure& o) { o.maximum_data_bytes = (1 << 20) + 1; }, "maximum_data_bytes"},
      {[](OnFailure& o) { o.function_arn = Text(513); }, "function_arn"},
      {[](OnFailure& o) { o.stream_arn = "a\nb"; }, "stream_arn"},
  };
  for (const auto& [change, field] : bad) {
    OnFailure on_failure;
    change(on_failure);
    EXPECT_THAT(on_failure.Validate().message(),
                HasSubstr(absl::StrCat("config.on_failure.", field, " is ")));
  }
  OnFailure edges;
  edges.timeout = absl::Seconds(30);
  edges.maximum_data_bytes = 1 << 20;
  edges.function_arn = edges.stream_arn = Text(512);
  EXPECT_TRUE(edges.Validate().ok()) << edges.Validate();
}

TEST(OnFailure, KnowsWhetherItNeedsSecrets) {
  OnFailure on_failure;
  on_failure.destination = Http{"http://h", {{"a", "b ${secret:c}"}}};
  EXPECT_TRUE(on_failure.UsesSecrets());
  on_failure.destination = Http{"http://h", {{"a", "b"}}};
  EXPECT_FALSE(on_failure.UsesSecrets());
  on_failure.destination = Kafka{"a:1", "t", {{"sasl.password", "${secret:c}"}}};
  EXPECT_TRUE(on_failure.UsesSecrets());
}

TEST(ExpandSecrets, PutsEachInItsPlace) {
  const auto read = [](const std::string& name) -> absl::StatusOr<std::string> {
    if (name == "gone") return absl::NotFoundError("gone");
    return absl::StrCat("<", name, "$", "{secret:not-again}>");
  };
  EXPECT_EQ(*ExpandSecrets("", read), "");
  EXPECT_EQ(*ExpandSecrets("no $ecret {here}", read), "no $ecret {here}");
  EXPECT_EQ(*ExpandSecrets("a ${secret:b}c${secret:d.e_f-9}", read),
            "a <b${secret:not-again}>c<d.e_f-9${secret:not-again}>");
  EXPECT_EQ(*ExpandSecrets("$${secret:b}}", read), "$<b${secret:not-again}>}");
  EXPECT_EQ(ExpandSecrets("${secret:gone}", read).status().code(), absl::StatusCode::kNotFound);
  for (const char* bad : {"${", "${}", "${secret:}", "${secret:a/b}", "${secret:..}", "${secret:a",
                          "${SECRET:a}", "}${", "${secret: a}"}) {
    EXPECT_EQ(ExpandSecrets(bad, read).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace lowmark
