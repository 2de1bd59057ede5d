// A small HTTP server for requests that may be answered much later: one thread,
// however many of them wait. Made of GNU libmicrohttpd.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_HTTP_LISTENER_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_HTTP_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

struct MHD_Daemon;

namespace lowmark {

struct HttpAnswer {
  unsigned status = 200;
  std::string body = {};
  // Beside Content-Type: application/json, which every answer has.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// A request and the way back. Thread safe.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  const std::string& method() const { return method_; }
  const std::string& path() const { return path_; }
  // Of the header Lambda-Runtime-Function-Error-Type.
  const std::string& error_type() const { return error_type_; }
  // Empty where it was too large.
  const std::string& body() const { return body_; }
  bool too_large() const { return too_large_; }

  // Answers the request; to be called once.
  virtual void Answer(HttpAnswer answer) = 0;
  // Whether nobody waits for the answer, or for more, any more: the connection that
  // the request came by has ended.
  virtual bool Gone() const = 0;

 protected:
  std::string method_;
  std::string path_;
  std::string error_type_;
  std::string body_;
  bool too_large_ = false;
};

class HttpListener {
 public:
  struct Options {
    // "HOST:PORT", where port 0 takes a free one, or "unix:/PATH".
    std::string listen = "127.0.0.1:0";
    // Connections at a time; more are closed at once.
    unsigned max_connections = 64;
    // Bodies of requests that are larger are read and dropped.
    size_t max_body_bytes = size_t{6} << 20;
    // Called on the listener's thread, once all of a request has come.
    std::function<void(std::shared_ptr<HttpExchange>)> on_request;
  };

  // Errors say which address could not be listened on, and why. A socket that is
  // left of another process is replaced.
  static absl::StatusOr<std::unique_ptr<HttpListener>> Start(Options options);
  // Requests that were not answered are dropped.
  ~HttpListener();
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // As in the options, with the port that is really listened on.
  const std::string& address() const { return address_; }

 private:
  class Request;
  struct Requests;
  struct Callbacks;

  explicit HttpListener(Options options);
  absl::Status Listen();

  const Options options_;
  std::string address_;
  std::string socket_path_;
  std::shared_ptr<Requests> requests_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_HTTP_LISTENER_H_
