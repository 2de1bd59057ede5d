#include "service/core/on_failure.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr size_t kLongestUrl = 2048;
constexpr size_t kLongestArn = 512;
constexpr size_t kLongestPath = 1024;
constexpr size_t kLongestComponent = 255;
constexpr size_t kLongestTopic = 249;
constexpr size_t kLongestHeader = 4096;
constexpr size_t kLongestProperty = 16384;
constexpr size_t kLongestName = 128;
constexpr size_t kMostTexts = 32;

constexpr char kField[] = "config.on_failure";

constexpr char kSecret[] = "${secret:";

// What the coordinator sets, or what is the connection's own.
constexpr std::array kOwnHeaders = {
    "connection", "content-length",  "content-type",      "expect",
    "host",       "idempotency-key", "keep-alive",        "proxy-connection",
    "te",         "trailer",         "transfer-encoding", "upgrade"};

constexpr std::array kKafkaProperties = {"batch.size",
                                         "client.id",
                                         "compression.codec",
                                         "compression.level",
                                         "compression.type",
                                         "enable.ssl.certificate.verification",
                                         "linger.ms",
                                         "sasl.mechanism",
                                         "sasl.mechanisms",
                                         "sasl.password",
                                         "sasl.username",
                                         "security.protocol",
                                         "socket.keepalive.enable",
                                         "ssl.ca.pem",
                                         "ssl.certificate.pem",
                                         "ssl.cipher.suites",
                                         "ssl.endpoint.identification.algorithm",
                                         "ssl.key.password",
                                         "ssl.key.pem"};

bool IsWordOf(absl::string_view text, absl::string_view others, size_t longest) {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains(others, c);
         });
}

bool HasControl(absl::string_view text, absl::string_view allowed = "") {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c)) && !absl::StrContains(allowed, c);
  });
}

bool IsSecretName(absl::string_view name) {
  return IsWordOf(name, "._-", kLongestName) && name[0] != '.';
}

// The secrets that a text names are well formed.
absl::Status CheckSecrets(const std::string& field, const std::string& value) {
  return ExpandSecrets(value, [](const std::string&) { return std::string(); }).ok()
             ? absl::OkStatus()
             : InvalidField(field, value,
                            "\"${\" must begin a secret's name, as in ${secret:orders-token}");
}

absl::Status CheckUrl(const std::string& url) {
  const std::string field = absl::StrCat(kField, ".http.url");
  const char* form = "must be an http:// or https:// URL of up to 2048 bytes";
  absl::string_view rest = url;
  const bool scheme =
      absl::ConsumePrefix(&rest, "http://") || absl::ConsumePrefix(&rest, "https://");
  const absl::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  const bool plain = std::all_of(url.begin(), url.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (!scheme || host.empty() || !plain || url.size() > kLongestUrl) {
    return InvalidField(field, url, form);
  }
  if (absl::StrContains(host, '@')) {
    return InvalidField(field, url, "must hold no password; set an Authorization header instead");
  }
  return absl::OkStatus();
}

absl::Status CheckHeader(const std::string& name, const std::string& value) {
  const std::string field = absl::StrCat(kField, ".http.headers");
  if (!IsWordOf(name, "!#$%&'*+-.^_`|~", kLongestName)) {
    return InvalidField(field, name, "must be a header's name");
  }
  const std::string lower = absl::AsciiStrToLower(name);
  if (std::find(kOwnHeaders.begin(), kOwnHeaders.end(), lower) != kOwnHeaders.end()) {
    return InvalidField(field, name, "is set by the coordinator itself");
  }
  const std::string named = absl::StrCat(field, "[", name, "]");
  if (value.empty() || value.size() > kLongestHeader || HasControl(value)) {
    return InvalidField(named, value, "must have 1..4096 bytes and no control characters");
  }
  return CheckSecrets(named, value);
}

absl::Status CheckProperty(const std::string& name, const std::string& value) {
  const std::string field = absl::StrCat(kField, ".kafka.properties");
  if (std::find(kKafkaProperties.begin(), kKafkaProperties.end(), name) == kKafkaProperties.end()) {
    return InvalidField(field, name, absl::StrCat("must be one of ", KafkaProperties()));
  }
  const std::string named = absl::StrCat(field, "[", name, "]");
  if (value.empty() || value.size() > kLongestProperty || HasControl(value, "\n")) {
    return InvalidField(named, value,
                        "must have 1..16384 bytes and no control characters but line ends");
  }
  return CheckSecrets(named, value);
}

absl::Status CheckTexts(const std::string& field, const OnFailure::Texts& texts,
                        absl::Status (*check)(const std::string&, const std::string&)) {
  if (texts.size() > kMostTexts) {
    return InvalidField(field, absl::StrCat(texts.size(), " entries"), "must have 32 at most");
  }
  for (const auto& [name, value] : texts) {
    if (auto s = check(name, value); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Check(const std::monostate&) { return absl::OkStatus(); }

absl::Status Check(const OnFailure::Http& http) {
  if (auto s = CheckUrl(http.url); !s.ok()) return s;
  return CheckTexts(absl::StrCat(kField, ".http.headers"), http.headers, &CheckHeader);
}

absl::Status Check(const OnFailure::Kafka& kafka) {
  const std::vector<std::string> brokers = absl::StrSplit(kafka.brokers, ',');
  for (const std::string& broker : brokers) {
    if (!IsWordOf(broker, ".-_:[]", kLongestComponent) || kafka.brokers.size() > kLongestUrl) {
      return InvalidField(absl::StrCat(kField, ".kafka.brokers"), kafka.brokers,
                          "must be HOST:PORT, several with commas");
    }
  }
  if (!IsWordOf(kafka.topic, "._-", kLongestTopic) || kafka.topic == "." || kafka.topic == "..") {
    return InvalidField(absl::StrCat(kField, ".kafka.topic"), kafka.topic,
                        "must match [A-Za-z0-9._-]{1,249}");
  }
  return CheckTexts(absl::StrCat(kField, ".kafka.properties"), kafka.properties, &CheckProperty);
}

absl::Status Check(const OnFailure::Directory& directory) {
  const std::vector<std::string> components = absl::StrSplit(directory.path, '/');
  const bool plain =
      std::all_of(components.begin(), components.end(), [](const std::string& component) {
        return IsWordOf(component, "._:-", kLongestComponent) && component[0] != '.';
      });
  if (plain && directory.path.size() <= kLongestPath) return absl::OkStatus();
  return InvalidField(absl::StrCat(kField, ".directory.path"), directory.path,
                      "must be names of [A-Za-z0-9._:-] with / between them, none of which begins "
                      "with a dot: a path below the coordinator's directory");
}

absl::Status CheckArn(const char* field, const std::string& arn) {
  if (arn.size() <= kLongestArn && !HasControl(arn)) return absl::OkStatus();
  return InvalidField(absl::StrCat(kField, ".", field), arn,
                      "must have up to 512 bytes and no control characters");
}

}  // namespace

absl::Status OnFailure::Validate() const {
  if (timeout < absl::Seconds(1) || timeout > absl::Seconds(30)) {
    return InvalidField(absl::StrCat(kField, ".timeout"), absl::FormatDuration(timeout),
                        "must be 1..30 s");
  }
  if (maximum_data_bytes < 0 || maximum_data_bytes > kLargestData) {
    return InvalidField(absl::StrCat(kField, ".maximum_data_bytes"), maximum_data_bytes,
                        absl::StrCat("must be 0..", kLargestData));
  }
  if (auto s = CheckArn("function_arn", function_arn); !s.ok()) return s;
  if (auto s = CheckArn("stream_arn", stream_arn); !s.ok()) return s;
  return std::visit([](const auto& each) { return Check(each); }, destination);
}

bool OnFailure::UsesSecrets() const {
  const auto uses = [](const Texts& texts) {
    return std::any_of(texts.begin(), texts.end(),
                       [](const auto& each) { return absl::StrContains(each.second, kSecret); });
  };
  if (const auto* http = std::get_if<Http>(&destination)) return uses(http->headers);
  if (const auto* kafka = std::get_if<Kafka>(&destination)) return uses(kafka->properties);
  return false;
}

std::string KafkaProperties() { return absl::StrJoin(kKafkaProperties, ", "); }

absl::StatusOr<std::string> ExpandSecrets(
    absl::string_view text,
    const std::function<absl::StatusOr<std::string>(const std::string& name)>& read) {
  std::string expanded;
  for (size_t at = text.find("${"); at != absl::string_view::npos; at = text.find("${")) {
    expanded.append(text.data(), at);
    text.remove_prefix(at);
    const size_t end = text.find('}');
    const bool known = absl::ConsumePrefix(&text, kSecret) && end != absl::string_view::npos;
    const std::string name(known ? text.substr(0, end - sizeof(kSecret) + 1) : "");
    if (!IsSecretName(name)) {
      return absl::InvalidArgumentError("\"${\" does not begin a secret's name");
    }
    auto secret = read(name);
    if (!secret.ok()) return secret.status();
    expanded += *secret;
    text.remove_prefix(name.size() + 1);
  }
  expanded.append(text.data(), text.size());
  return expanded;
}

}  // namespace lowmark
