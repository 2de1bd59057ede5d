// A runtime's side of the Lambda Runtime API, made of libcurl as the runtimes of
// Lambda are. Used by one thread at a time.
#ifndef LOWMARK_TESTS_WORKER_RUNTIME_CLIENT_H_
#define LOWMARK_TESTS_WORKER_RUNTIME_CLIENT_H_

#include <curl/curl.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace lowmark {

class RuntimeClient {
 public:
  struct Reply {
    long status = 0;  // NOLINT(google-runtime-int): libcurl's type; 0: no answer
    std::string body = {};
    std::map<std::string, std::string> headers = {};  // names in small letters

    std::string id() const { return header("lambda-runtime-aws-request-id"); }
    std::string header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
  };

  // "HOST:PORT" or "unix:/PATH".
  explicit RuntimeClient(const std::string& address) : curl_(curl_easy_init()) {
    absl::string_view path = address;
    if (absl::ConsumePrefix(&path, "unix:")) {
      socket_ = std::string(path);
      base_ = "http://localhost/2018-06-01/runtime/";
    } else {
      base_ = absl::StrCat("http://", address, "/2018-06-01/runtime/");
    }
  }
  ~RuntimeClient() { curl_easy_cleanup(curl_); }
  RuntimeClient(const RuntimeClient&) = delete;
  RuntimeClient& operator=(const RuntimeClient&) = delete;

  // Each request by a connection of its own, as a shell script with curl has it.
  void CloseConnections() { close_ = true; }
  // Gives up after so long, and closes the connection.
  void SetTimeout(int64_t ms) { timeout_ms_ = ms; }

  Reply Next() { return Call("invocation/next", nullptr); }
  Reply Respond(const std::string& id, const std::string& body) {
    return Call(absl::StrCat("invocation/", id, "/response"), &body);
  }
  Reply Fail(const std::string& id, const std::string& body) {
    return Call(absl::StrCat("invocation/", id, "/error"), &body);
  }
  Reply InitError(const std::string& body) { return Call("init/error", &body); }
  // A POST of `body`, or a GET where it is null.
  Reply Call(const std::string& path, const std::string* body) {
    const std::string url = base_ + path;
    Reply reply;
    curl_easy_reset(curl_);
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    if (!socket_.empty()) curl_easy_setopt(curl_, CURLOPT_UNIX_SOCKET_PATH, socket_.c_str());
    if (body != nullptr) {
      curl_easy_setopt(curl_, CURLOPT_POST, 1L);
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, body->data());
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    }
    curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, timeout_ms_);
    curl_easy_setopt(curl_, CURLOPT_FORBID_REUSE, close_ ? 1L : 0L);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &OnBody);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &reply);
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &OnHeader);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, &reply);
    if (curl_easy_perform(curl_) == CURLE_OK) {
      curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &reply.status);
    }
    return reply;
  }

 private:
  static size_t OnBody(char* data, size_t size, size_t count, void* reply) {
    static_cast<Reply*>(reply)->body.append(data, size * count);
    return size * count;
  }
  static size_t OnHeader(char* data, size_t size, size_t count, void* reply) {
    const absl::string_view line(data, size * count);
    if (const size_t colon = line.find(':'); colon != absl::string_view::npos) {
      static_cast<Reply*>(reply)->headers[absl::AsciiStrToLower(line.substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    }
    return size * count;
  }

  CURL* const curl_;
  std::string base_;
  std::string socket_;
  bool close_ = false;
  long timeout_ms_ = 60000;  // NOLINT(google-runtime-int): libcurl's type
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_RUNTIME_CLIENT_H_
