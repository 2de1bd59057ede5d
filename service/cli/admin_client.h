// Calls a coordinator's AdminService, each call with a deadline, and turns what
// goes wrong into what a person can do about it.
#ifndef LOWMARK_SERVICE_CLI_ADMIN_CLIENT_H_
#define LOWMARK_SERVICE_CLI_ADMIN_CLIENT_H_

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lowmark/v1/admin.grpc.pb.h"
#include "service/security/client_secrets.h"

namespace lowmark::cli {

class AdminClient {
 public:
  using Stub = v1::AdminService::Stub;

  // `address` is host:port or unix:PATH. Connects with the first call, plain and without
  // a token.
  AdminClient(const std::string& address, absl::Duration timeout)
      : AdminClient(address, timeout, std::make_shared<const ClientSecrets>()) {}
  // The same as `security` says. INVALID_ARGUMENT naming the flag where that is wrong,
  // or a file that it names of no use.
  static absl::StatusOr<std::unique_ptr<AdminClient>> Create(const std::string& address,
                                                             absl::Duration timeout,
                                                             const ConnectionSecurity& security);

  // One call: client.Call(&AdminClient::Stub::GetStream, request).
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext context;
    Prepare(context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    if constexpr (requires { request.stream(); }) return Explain(status, request.stream());
    return Explain(status, "");
  }

  // All pages of a list up to `limit` entries (0: all) as one, whose
  // next_page_token says whether there are more. `size` counts a page's entries.
  template <typename Request, typename Response, typename Size>
  absl::StatusOr<Response> List(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                Request request, int limit, Size size) {
    constexpr int kLargestPage = 1000;
    Response all;
    do {
      request.set_page_size(limit == 0 ? kLargestPage : std::min(limit - size(all), kLargestPage));
      auto page = Call(method, request);
      if (!page.ok()) return page.status();
      request.set_page_token(page->next_page_token());
      all.MergeFrom(*page);
    } while (!request.page_token().empty() && (limit == 0 || size(all) < limit));
    all.set_next_page_token(request.page_token());
    return all;
  }

 private:
  AdminClient(const std::string& address, absl::Duration timeout,
              std::shared_ptr<const ClientSecrets> secrets);

  // Gives a call its deadline and its token.
  void Prepare(grpc::ClientContext& context) const;
  // `stream`: the one that the call was about, for what to do next.
  absl::Status Explain(const grpc::Status& status, const std::string& stream) const;
  // Of no connection. `message`: what gRPC says.
  std::string ExplainUnreachable(const std::string& message) const;

  std::string address_;
  absl::Duration timeout_;
  std::shared_ptr<const ClientSecrets> secrets_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_ADMIN_CLIENT_H_
