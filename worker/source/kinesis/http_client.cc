#include "worker/source/kinesis/http_client.h"

#include <curl/curl.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// A GetRecords answer holds up to 10 MiB of data, in Base64.
constexpr size_t kMaxAnswerBytes = size_t{64} << 20;

struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDelete>;

void Append(HeaderList& list, const std::string& header) {
  list.reset(curl_slist_append(list.release(), header.c_str()));
}

size_t OnBody(char* data, size_t size, size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  if (text.size() + size * count > kMaxAnswerBytes) return 0;
  text.append(data, size * count);
  return size * count;
}

std::string AnswerHeader(CURL* curl, const char* name) {
  curl_header* header = nullptr;
  if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return "";
  return header->value;
}

std::optional<absl::Time> ParseDate(const std::string& text) {
  const time_t time = curl_getdate(text.c_str(), nullptr);
  if (time == -1) return std::nullopt;
  return absl::FromTimeT(time);
}

// The URL up to its path: that may hold what is nobody's business.
std::string Server(const std::string& url) {
  const size_t scheme = url.find("://");
  return url.substr(0, url.find_first_of("/?", scheme == std::string::npos ? 0 : scheme + 3));
}

absl::Status Failure(CURLcode code, const std::string& url) {
  const std::string message =
      absl::StrCat("no answer from ", Server(url), ": ", curl_easy_strerror(code));
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return absl::FailedPreconditionError(message);
    case CURLE_COULDNT_RESOLVE_HOST:
      return absl::UnavailableError(
          absl::StrCat("no answer from ", Server(url),
                       ": there is no such host; are region and endpoint right?"));
    default:
      return absl::UnavailableError(message);
  }
}

void Prepare(CURL* curl, const HttpRequest& request, curl_slist* headers, std::string* body) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  if (request.method == "POST" || !request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "lowmark-worker");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  if (!absl::StartsWithIgnoreCase(request.url, "https:")) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  // NOLINTBEGIN(google-runtime-int): libcurl's type
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(request.connect_timeout)));
  // NOLINTEND(google-runtime-int)
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
  if (request.scope.empty()) return;
  curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, request.scope.c_str());
  curl_easy_setopt(curl, CURLOPT_USERNAME, request.credentials.access_key_id.c_str());
  curl_easy_setopt(curl, CURLOPT_PASSWORD, request.credentials.secret_access_key.c_str());
}

}  // namespace

HttpClient::~HttpClient() {
  for (void* curl : idle_) curl_easy_cleanup(curl);
}

void* HttpClient::Take() {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) return nullptr;
  MutexLock lock(mutex_);
  if (idle_.empty()) return curl_easy_init();
  void* curl = idle_.back();
  idle_.pop_back();
  return curl;
}

void HttpClient::Return(void* curl) {
  curl_easy_reset(curl);
  MutexLock lock(mutex_);
  idle_.push_back(curl);
}

absl::StatusOr<HttpAnswer> HttpClient::Do(const HttpRequest& request) {
  void* curl = Take();
  if (curl == nullptr) return absl::UnavailableError("libcurl gives no handle");
  HeaderList headers;
  for (const std::string& header : request.headers) Append(headers, header);
  // Headers are signed: the token's must be there before.
  if (!request.scope.empty() && !request.credentials.session_token.empty()) {
    Append(headers, "X-Amz-Security-Token: " + request.credentials.session_token);
  }
  HttpAnswer answer;
  Prepare(curl, request, headers.get(), &answer.body);
  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) {
    // NOLINTNEXTLINE(google-runtime-int): libcurl's type
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
    answer.error_type = AnswerHeader(curl, "x-amzn-errortype");
    answer.date = ParseDate(AnswerHeader(curl, "date"));
  }
  Return(curl);
  if (code != CURLE_OK) return Failure(code, request.url);
  return answer;
}

}  // namespace lowmark
