#include "worker/handler/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "service/process/mutex.h"
#include "worker/handler/answer.h"
#include "worker/handler/event.h"

namespace lowmark {
namespace {

constexpr char kLambdaPath[] = "/2015-03-31/functions/function/invocations";
constexpr size_t kMaxAnswerBytes = size_t{8} << 20;
constexpr size_t kShownBytes = 1024;
constexpr absl::Duration kConnectTime = absl::Seconds(5);
// A handler has at most 15 minutes; libcurl cannot count up to "for ever".
constexpr absl::Duration kLongestTime = absl::Hours(24);
constexpr long kTooManyRequests = 429;  // NOLINT(google-runtime-int): libcurl's type

struct UrlDelete {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct StringDelete {
  void operator()(char* text) const { curl_free(text); }
};
struct ListDelete {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string UrlPart(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  return std::unique_ptr<char, StringDelete>(text).get();
}

absl::StatusOr<std::string> CompleteUrl(const std::string& text) {
  const std::unique_ptr<CURLU, UrlDelete> url(curl_url());
  const char* form = "must be a URL such as http://localhost:8080";
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return InvalidField("handler_url", text, form);
  }
  const std::string scheme = UrlPart(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return InvalidField("handler_url", text, form);
  if (UrlPart(url.get(), CURLUPART_PATH) == "/") {
    curl_url_set(url.get(), CURLUPART_PATH, kLambdaPath, 0);
  }
  return UrlPart(url.get(), CURLUPART_URL);
}

// "http://host:8080": what may be shown of a URL, which may hold a password.
std::string ServerOf(const std::string& text) {
  const std::unique_ptr<CURLU, UrlDelete> url(curl_url());
  curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0);
  const std::string port = UrlPart(url.get(), CURLUPART_PORT);
  return absl::StrCat(UrlPart(url.get(), CURLUPART_SCHEME), "://",
                      UrlPart(url.get(), CURLUPART_HOST), port.empty() ? "" : ":", port);
}

}  // namespace

// Keeps connections between batches; each is used by one thread at a time.
class HttpHandler::Connections {
 public:
  ~Connections() {
    for (CURL* curl : idle_) curl_easy_cleanup(curl);
  }
  CURL* Take() {
    MutexLock lock(mutex_);
    if (idle_.empty()) return curl_easy_init();
    CURL* curl = idle_.back();
    idle_.pop_back();
    return curl;
  }
  void Return(CURL* curl) {
    curl_easy_reset(curl);
    MutexLock lock(mutex_);
    idle_.push_back(curl);
  }

 private:
  Mutex mutex_;
  std::vector<CURL*> idle_ LOWMARK_GUARDED_BY(mutex_);
};

// One request and its answer.
struct HttpHandler::Exchange {
  std::string body;
  std::string function_error;
  bool too_large = false;
  const std::atomic<bool>* aborted = nullptr;

  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    exchange->too_large = exchange->body.size() + size * count > kMaxAnswerBytes;
    if (exchange->too_large) return 0;
    exchange->body.append(data, size * count);
    return size * count;
  }
  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    absl::string_view line(data, size * count);
    constexpr absl::string_view kName = "x-amz-function-error:";
    if (absl::StartsWithIgnoreCase(line, kName)) {
      const absl::string_view value = absl::StripAsciiWhitespace(line.substr(kName.size()));
      static_cast<Exchange*>(self)->function_error =
          value.empty() ? "FunctionError" : std::string(value);
    }
    return size * count;
  }
  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return *static_cast<Exchange*>(self)->aborted ? 1 : 0;
  }

  CURLcode Perform(CURL* curl, const std::string& url, const std::string& event,
                   absl::Duration timeout);
  HandlerResult Failure(CURL* curl, CURLcode code, const std::string& url) const;
  HandlerResult Result(CURL* curl, const Batch& batch, ResponsePolicy policy) const;
};

CURLcode HttpHandler::Exchange::Perform(CURL* curl, const std::string& url,
                                        const std::string& event, absl::Duration timeout) {
  std::unique_ptr<curl_slist, ListDelete> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"));
  headers.reset(curl_slist_append(headers.release(), "X-Amz-Invocation-Type: RequestResponse"));
  // No round trip to ask whether the event is welcome.
  headers.reset(curl_slist_append(headers.release(), "Expect:"));
  const auto ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(std::min(timeout, kLongestTime)));
  const auto connect_ms = std::min(ms, absl::ToInt64Milliseconds(kConnectTime));
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, event.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(event.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "lowmark-worker");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_ms));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  return curl_easy_perform(curl);
}

HandlerResult HttpHandler::Exchange::Failure(CURL* curl, CURLcode code,
                                             const std::string& url) const {
  // NOLINTNEXTLINE(google-runtime-int): libcurl's type
  long request_bytes = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &request_bytes);
  const std::string message = curl_easy_strerror(code);
  // Where nothing was sent, nothing was processed.
  if (request_bytes == 0 && code != CURLE_ABORTED_BY_CALLBACK) {
    return HandlerResult::NotRun("Unreachable", absl::StrCat(ServerOf(url), ": ", message));
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return HandlerResult::Raised("Timeout", message);
    case CURLE_ABORTED_BY_CALLBACK:
      return HandlerResult::Raised("Aborted", "the worker stopped");
    case CURLE_WRITE_ERROR:
      if (too_large) {
        return HandlerResult::Raised(
            "AnswerTooLarge", absl::StrCat("the answer has more than ", kMaxAnswerBytes, " bytes"));
      }
      break;
    default:
      break;
  }
  return HandlerResult::Raised("ConnectionLost", message);
}

HandlerResult HttpHandler::Exchange::Result(CURL* curl, const Batch& batch,
                                            ResponsePolicy policy) const {
  // NOLINTNEXTLINE(google-runtime-int): libcurl's type
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status > 299) {
    const std::string message =
        absl::StrCat("HTTP status ", status, body.empty() ? "" : ": ", body.substr(0, kShownBytes));
    if (status == kTooManyRequests) return HandlerResult::NotRun("Throttled", message);
    return HandlerResult::Raised("HttpStatus", message);
  }
  if (!function_error.empty()) return ParseFunctionError(body, function_error);
  return ParseAnswer(body, batch, policy);
}

absl::StatusOr<std::shared_ptr<HttpHandler>> HttpHandler::Create(const std::string& url,
                                                                 ResponsePolicy policy) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) {
    return absl::InternalError(absl::StrCat("libcurl: ", curl_easy_strerror(initialized)));
  }
  auto complete = CompleteUrl(url);
  if (!complete.ok()) return complete.status();
  return std::shared_ptr<HttpHandler>(new HttpHandler(*std::move(complete), policy));
}

HttpHandler::HttpHandler(std::string url, ResponsePolicy policy)
    : url_(std::move(url)), policy_(policy), connections_(std::make_unique<Connections>()) {}

HttpHandler::~HttpHandler() = default;

HandlerResult HttpHandler::Process(const Batch& batch) {
  CURL* curl = connections_->Take();
  if (curl == nullptr) return HandlerResult::NotRun("OutOfMemory", "libcurl gives no handle");
  Exchange exchange;
  exchange.aborted = &aborted_;
  const CURLcode code =
      exchange.Perform(curl, url_, EventJson(batch), batch.deadline - absl::Now());
  HandlerResult result =
      code == CURLE_OK ? exchange.Result(curl, batch, policy_) : exchange.Failure(curl, code, url_);
  connections_->Return(curl);
  return result;
}

}  // namespace lowmark
