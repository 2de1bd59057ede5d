// Looks after a worker's connections: goes on with certificates and a token that were
// replaced, and says what keeps it from connecting.
#ifndef LOWMARK_WORKER_INTERNAL_CONNECTION_WATCH_H_
#define LOWMARK_WORKER_INTERNAL_CONNECTION_WATCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "service/security/client_secrets.h"
#include "worker/internal/context.h"

namespace lowmark {

// Used on the loop only.
class ConnectionWatch {
 public:
  ConnectionWatch(WorkerContext& context, std::shared_ptr<ClientSecrets> secrets);

  // Looks whether the files of the secrets have changed; to be called every second.
  // Calls under way end on the connections that they have.
  void Refresh();

  // A call failed, as the last `failures` did. Where it found no coordinator, looks in a
  // thread of the source's whether TLS is why, after 1, 2, 4, 8 ... failures, and logs
  // it where it was not said before.
  void OnFailure(const absl::Status& error, int failures);

 private:
  void Say(const std::string& why);

  WorkerContext& context_;
  const std::shared_ptr<ClientSecrets> secrets_;
  const std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
  std::string said_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_CONNECTION_WATCH_H_
