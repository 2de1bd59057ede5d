// An HTTP server for tests: answers POSTs with the status it was told, and keeps what
// it was sent.
#ifndef LOWMARK_TESTS_SUPPORT_HTTP_ENDPOINT_H_
#define LOWMARK_TESTS_SUPPORT_HTTP_ENDPOINT_H_

#include <CivetServer.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"

namespace lowmark {

// Thread-safe. All that is held is released at the end.
class HttpEndpoint : public CivetHandler {
 public:
  struct Request {
    std::map<std::string, std::string> headers;
    std::string body;
    std::string status;  // that it was answered with
  };

  explicit HttpEndpoint(const std::string& listen = "127.0.0.1:0")
      : server_({"listening_ports", listen, "num_threads", "4"}) {
    server_.addHandler("/", this);
  }
  ~HttpEndpoint() override { Release(); }

  std::string Url(const std::string& path) {
    return absl::StrCat("http://127.0.0.1:", server_.getListeningPorts()[0], path);
  }
  // From now on, one after the other; the last one stays.
  void Answer(std::vector<std::string> statuses) {
    MutexLock lock(mutex_);
    statuses_ = std::move(statuses);
  }
  // The next `passed` requests are answered; from then on they wait for Release.
  void Hold(size_t passed = 0) {
    MutexLock lock(mutex_);
    held_ = true;
    held_from_ = requests_.size() + passed;
  }
  void Release() {
    MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  // Until so many requests came, answered or not; until one waits.
  void AwaitRequests(size_t count) {
    MutexLock lock(mutex_);
    while (requests_.size() < count) changed_.Wait(mutex_);
  }
  void AwaitHeld() {
    MutexLock lock(mutex_);
    while (requests_.size() <= held_from_) changed_.Wait(mutex_);
  }
  std::vector<Request> requests() {
    MutexLock lock(mutex_);
    return requests_;
  }

  bool handlePost(CivetServer*, mg_connection* connection) override {
    Request request;
    char chunk[4096];
    for (int got = 0; (got = mg_read(connection, chunk, sizeof chunk)) > 0;) {
      request.body.append(chunk, got);
    }
    const mg_request_info* info = mg_get_request_info(connection);
    for (int i = 0; i < info->num_headers; ++i) {
      request.headers[info->http_headers[i].name] = info->http_headers[i].value;
    }
    MutexLock lock(mutex_);
    request.status = statuses_.front();
    if (statuses_.size() > 1) statuses_.erase(statuses_.begin());
    const size_t index = requests_.size();
    requests_.push_back(request);
    changed_.NotifyAll();
    while (held_ && index >= held_from_) changed_.Wait(mutex_);
    mg_printf(connection, "HTTP/1.1 %s\r\nContent-Length: 6\r\n\r\nsecret", request.status.c_str());
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> statuses_ LOWMARK_GUARDED_BY(mutex_) = {"200 OK"};
  std::vector<Request> requests_ LOWMARK_GUARDED_BY(mutex_);
  bool held_ LOWMARK_GUARDED_BY(mutex_) = false;
  size_t held_from_ LOWMARK_GUARDED_BY(mutex_) = 0;
  CivetServer server_;  // last: its threads end first
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_HTTP_ENDPOINT_H_
