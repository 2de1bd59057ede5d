// One HTTP request and its answer, by libcurl, signed with AWS' version 4 where
// asked. Keeps connections.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_HTTP_CLIENT_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_HTTP_CLIENT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

// What a request to AWS is signed with.
struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none
  // When they stop being valid.
  absl::Time expiration = absl::InfiniteFuture();

  bool operator==(const AwsCredentials&) const = default;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  // "Name: value". All are signed; libcurl 7.88 signs even those without a value, which it
  // does not send.
  std::vector<std::string> headers = {};
  std::string body = {};
  // Of the whole exchange, and of its connecting.
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration connect_timeout = absl::Seconds(5);
  // "aws:amz:REGION:SERVICE"; empty: not signed.
  std::string scope = {};
  AwsCredentials credentials = {};
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  // The header "x-amzn-errortype"; empty where there is none.
  std::string error_type;
  // The server's clock, from its header "Date", to the second.
  std::optional<absl::Time> date;
};

// Thread safe.
class HttpClient {
 public:
  HttpClient() = default;
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Whatever status the server answered with is an answer. UNAVAILABLE where there
  // was none, or none in time; FAILED_PRECONDITION where none can be trusted (its
  // certificate is wrong), or the URL is none. The message names the server. A proxy of the
  // environment is used for https alone.
  absl::StatusOr<HttpAnswer> Do(const HttpRequest& request);

 private:
  void* Take();
  void Return(void* curl);

  Mutex mutex_;
  std::vector<void*> idle_ LOWMARK_GUARDED_BY(mutex_);  // libcurl's handles
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_HTTP_CLIENT_H_
