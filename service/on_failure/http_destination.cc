#include "service/on_failure/http_destination.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

// An answer's body is of no use, but a little of it is read, so that the connection
// can be kept.
constexpr size_t kMostAnswerBytes = 65536;

struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, ListDelete>;

void AddHeader(Headers& headers, const std::string& line) {
  headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

// What a destination may say of one document, where it would take others.
bool RefusesDocument(long status) {  // NOLINT(google-runtime-int): libcurl's type
  return status == 400 || status == 409 || status == 413 || status == 422;
}

size_t DropBody(char*, size_t size, size_t count, void* read) {
  size_t& bytes = *static_cast<size_t*>(read);
  bytes += size * count;
  return bytes > kMostAnswerBytes ? 0 : size * count;
}

int OnProgress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const StopSignal*>(stop)->over() ? 1 : 0;
}

}  // namespace

struct HttpDestination::Connection {
  CURL* curl = curl_easy_init();

  Connection() = default;
  ~Connection() { curl_easy_cleanup(curl); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
};

absl::StatusOr<std::unique_ptr<Destination>> HttpDestination::Create(
    const std::string& url, const OnFailure::Texts& headers, absl::Duration timeout) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) {
    return absl::InternalError(absl::StrCat("libcurl: ", curl_easy_strerror(initialized)));
  }
  for (const auto& [name, value] : headers) {
    if (std::any_of(value.begin(), value.end(),
                    [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); })) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the header ", name, " holds control characters: a secret of several lines"));
    }
  }
  return std::unique_ptr<Destination>(new HttpDestination(url, headers, timeout));
}

HttpDestination::HttpDestination(std::string url, const OnFailure::Texts& headers,
                                 absl::Duration timeout)
    : url_(std::move(url)),
      headers_(headers),
      timeout_(timeout),
      connection_(std::make_unique<Connection>()) {}

HttpDestination::~HttpDestination() = default;

std::vector<absl::Status> HttpDestination::Send(const std::vector<Document>& documents,
                                                absl::Duration patience) {
  const SteadyTime until = SteadyDeadline(patience);
  std::vector<absl::Status> answers(documents.size(), absl::CancelledError("not tried"));
  for (size_t i = 0; i < documents.size(); ++i) {
    if (stop().stopping() || SteadyDeadline(absl::ZeroDuration()) >= until) break;
    answers[i] = Post(documents[i]);
    if (absl::IsUnavailable(answers[i])) break;
  }
  return answers;
}

absl::Status HttpDestination::Post(const Document& document) {
  CURL* curl = connection_->curl;
  if (curl == nullptr) return absl::UnavailableError("libcurl gives no handle");
  curl_easy_reset(curl);
  Headers headers;
  AddHeader(headers, "Content-Type: application/json");
  AddHeader(headers, "Expect:");  // no round trip to ask whether it is welcome
  AddHeader(headers, absl::StrCat("Idempotency-Key: ", document.key));
  for (const auto& [name, value] : headers_) AddHeader(headers, absl::StrCat(name, ": ", value));
  size_t answered = 0;
  curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, document.text.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(document.text.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "lowmark-coordinator");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(timeout_)));  // NOLINT
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &DropBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answered);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop());
  const CURLcode code = curl_easy_perform(curl);
  // NOLINTNEXTLINE(google-runtime-int): libcurl's type
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_ABORTED_BY_CALLBACK) return absl::CancelledError("the coordinator stopped");
  // Where the answer's body alone is cut short its status still counts.
  if (code != CURLE_OK && (code != CURLE_WRITE_ERROR || status == 0)) {
    return absl::UnavailableError(curl_easy_strerror(code));
  }
  if (status >= 200 && status <= 299) return absl::OkStatus();
  const std::string message = absl::StrCat("HTTP status ", status);
  if (RefusesDocument(status)) return absl::FailedPreconditionError(message);
  return absl::UnavailableError(message);
}

}  // namespace lowmark
