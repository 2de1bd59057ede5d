// An HTTP endpoint as a destination: a POST for each document, with the header
// Idempotency-Key.
//
//   2xx                    it has the document
//   400, 409, 413, 422     it refuses this document
//   any other status, no connection, no answer in time   it takes nothing now
#ifndef LOWMARK_SERVICE_ON_FAILURE_HTTP_DESTINATION_H_
#define LOWMARK_SERVICE_ON_FAILURE_HTTP_DESTINATION_H_

#include <memory>
#include <string>
#include <vector>

#include "service/on_failure/destination.h"

namespace lowmark {

// Keeps its connection for the next document. Redirects are not followed, proxies of
// the environment not used.
class HttpDestination : public Destination {
 public:
  // FAILED_PRECONDITION for a header's value that, with its secrets, holds control
  // characters.
  static absl::StatusOr<std::unique_ptr<Destination>> Create(const std::string& url,
                                                             const OnFailure::Texts& headers,
                                                             absl::Duration timeout);
  ~HttpDestination() override;

  std::vector<absl::Status> Send(const std::vector<Document>& documents,
                                 absl::Duration patience) override;

 private:
  struct Connection;

  HttpDestination(std::string url, const OnFailure::Texts& headers, absl::Duration timeout);
  absl::Status Post(const Document& document);

  const std::string url_;
  const OnFailure::Texts headers_;
  const absl::Duration timeout_;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_HTTP_DESTINATION_H_
