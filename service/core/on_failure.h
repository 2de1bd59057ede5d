// Where a stream's dead letters are sent as well as stored, on the wire `OnFailure`:
// an HTTP endpoint, a Kafka topic or a directory.
//
// Values of headers and properties may name secrets instead of holding them:
// "Bearer ${secret:orders-token}". A coordinator reads them when it delivers.
#ifndef LOWMARK_SERVICE_CORE_ON_FAILURE_H_
#define LOWMARK_SERVICE_CORE_ON_FAILURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lowmark {

struct OnFailure {
  static constexpr int64_t kLargestData = int64_t{1} << 20;

  using Texts = std::map<std::string, std::string>;

  // Documents are POSTed.
  struct Http {
    std::string url;  // http:// or https://, up to 2048 bytes
    Texts headers;    // up to 32, but those that the coordinator sets itself

    bool operator==(const Http&) const = default;
  };
  // Documents are produced, with the shard as their key.
  struct Kafka {
    std::string brokers;  // "host:port", several with commas
    std::string topic;    // [A-Za-z0-9._-]{1,249}
    Texts properties;     // librdkafka's, of KafkaProperties()

    bool operator==(const Kafka&) const = default;
  };
  // Each document becomes a file.
  struct Directory {
    // Below the directory that the coordinator's operator allowed; no component
    // begins with a dot.
    std::string path;

    bool operator==(const Directory&) const = default;
  };

  // Where none is set dead letters are stored alone.
  std::variant<std::monostate, Http, Kafka, Directory> destination;
  // How long the destination may take for a document: 1..30 s.
  absl::Duration timeout = absl::Seconds(10);
  // Bytes of the records' keys and data in a document at most: 0..1 MiB, whole
  // records from the first on.
  int64_t maximum_data_bytes = 0;
  // What documents call the function and the stream; where empty, names made of the
  // stream's. Up to 512 bytes.
  std::string function_arn;
  std::string stream_arn;

  bool set() const { return !std::holds_alternative<std::monostate>(destination); }
  bool operator==(const OnFailure&) const = default;

  // OK, or INVALID_ARGUMENT naming field ("config.on_failure.http.url"), value and
  // what is allowed.
  absl::Status Validate() const;
  // Whether a header or a property names a secret.
  bool UsesSecrets() const;
};

// The properties of librdkafka that a stream may set, with commas: what secures and
// tunes a connection, but nothing that names files, commands or libraries of the
// coordinator's host.
std::string KafkaProperties();

// Puts what `read` returns for NAME in the place of each "${secret:NAME}" of
// `text`; NAME is [A-Za-z0-9._-]{1,128} and begins with no dot. INVALID_ARGUMENT for
// any other "${", or the error of `read`.
absl::StatusOr<std::string> ExpandSecrets(
    absl::string_view text,
    const std::function<absl::StatusOr<std::string>(const std::string& name)>& read);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_ON_FAILURE_H_
