// An HTTP endpoint as a handler: the event (worker/handler/event.h) is POSTed to it,
// and it answers as worker/handler/answer.h says. The conventions are those of AWS'
// runtime interface emulator, so that a container image of a Lambda function is a
// handler as it is.
//
//   2xx                                    what the body says
//   2xx with the header X-Amz-Function-Error    the function raised; the body may be
//                                          {"errorType": "...", "errorMessage": "..."}
//   429                                    throttled: it did not run
//   any other status                       the batch failed
//   no connection, unknown host            it did not run
//   a connection that breaks off           the batch failed
#ifndef LOWMARK_WORKER_HANDLER_HTTP_H_
#define LOWMARK_WORKER_HANDLER_HTTP_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/handler.h"
#include "worker/handler/response_policy.h"

namespace lowmark {

class HttpHandler : public Handler {
 public:
  // `url` is http:// or https://; where it has no path, the path of the Lambda
  // convention is taken, /2015-03-31/functions/function/invocations.
  // INVALID_ARGUMENT where it is not a URL. Connections are kept for the next
  // batch. Redirects are not followed, proxies of the environment not used.
  static absl::StatusOr<std::shared_ptr<HttpHandler>> Create(
      const std::string& url, ResponsePolicy policy = ResponsePolicy::kStrict);
  ~HttpHandler() override;

  HandlerResult Process(const Batch& batch) override;
  void Abort() override { aborted_ = true; }

  const std::string& url() const { return url_; }

 private:
  class Connections;
  struct Exchange;

  HttpHandler(std::string url, ResponsePolicy policy);

  const std::string url_;
  const ResponsePolicy policy_;
  const std::unique_ptr<Connections> connections_;
  std::atomic<bool> aborted_{false};
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_HTTP_H_
