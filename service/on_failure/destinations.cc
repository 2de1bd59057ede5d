#include "service/on_failure/destinations.h"

#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "service/on_failure/directory_destination.h"
#include "service/on_failure/http_destination.h"
#include "service/on_failure/kafka_destination.h"

namespace lowmark {
namespace {

constexpr std::streamsize kLongestSecret = 65536;

using Made = absl::StatusOr<std::unique_ptr<Destination>>;

absl::StatusOr<std::string> ReadSecret(const std::string& directory, const std::string& name) {
  const auto unreadable = [&](const char* why) {
    return absl::FailedPreconditionError(absl::StrCat("the secret ", name, " ", why));
  };
  if (directory.empty()) return unreadable("is not to be had: there is no --on-failure-secrets");
  std::ifstream file(absl::StrCat(directory, "/", name), std::ios::binary);
  std::string text(kLongestSecret + 1, '\0');
  file.read(text.data(), kLongestSecret + 1);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > static_cast<size_t>(kLongestSecret)) return unreadable("has more than 64 KiB");
  absl::StripTrailingAsciiWhitespace(&text);
  if (text.empty()) return unreadable("is empty or cannot be read");
  return text;
}

Made Make(const std::monostate&, const OnFailure&, const DestinationOptions&) {
  return absl::FailedPreconditionError("the stream has no destination");
}

Made Make(const OnFailure::Http& http, const OnFailure& on_failure,
          const DestinationOptions& options) {
  auto headers = ReadSecrets(http.headers, options.secrets);
  if (!headers.ok()) return headers.status();
  return HttpDestination::Create(http.url, *headers, on_failure.timeout);
}

Made Make(const OnFailure::Kafka& kafka, const OnFailure& on_failure,
          const DestinationOptions& options) {
  auto properties = ReadSecrets(kafka.properties, options.secrets);
  if (!properties.ok()) return properties.status();
  return KafkaDestination::Create({kafka.brokers, kafka.topic, *std::move(properties)},
                                  on_failure.timeout);
}

Made Make(const OnFailure::Directory& directory, const OnFailure& on_failure,
          const DestinationOptions& options) {
  if (auto s = options.Check(on_failure); !s.ok()) return s;
  return std::make_unique<DirectoryDestination>(options.directory_root, directory.path);
}

}  // namespace

absl::StatusOr<OnFailure::Texts> ReadSecrets(const OnFailure::Texts& texts,
                                             const std::string& directory) {
  OnFailure::Texts read;
  for (const auto& [name, text] : texts) {
    auto expanded = ExpandSecrets(
        text, [&](const std::string& secret) { return ReadSecret(directory, secret); });
    if (!expanded.ok()) return expanded.status();
    read[name] = *std::move(expanded);
  }
  return read;
}

MakeDestination Destinations(const DestinationOptions& options) {
  return [options](const OnFailure& on_failure) {
    return std::visit([&](const auto& each) { return Make(each, on_failure, options); },
                      on_failure.destination);
  };
}

}  // namespace lowmark
