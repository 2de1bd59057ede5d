// A coordinator process from start to stop.
#ifndef LOWMARK_SERVICE_SERVE_H_
#define LOWMARK_SERVICE_SERVE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/coordinator.h"
#include "service/metrics.h"
#include "service/process/logging.h"
#include "service/rpc/server.h"
#include "store/postgres/options.h"

namespace lowmark {

struct ServeOptions {
  PostgresOptions postgres;
  CoordinatorOptions coordinator;
  ServerOptions server;
  // Where /metrics, /livez and /readyz are: HOST:PORT, port 0 for a free one.
  std::string http_listen = "127.0.0.1:7071";
  // Streams with metrics of their own; the others are counted together: 1..10000.
  int32_t metrics_max_streams = Metrics::kMaxStreams;
  // Whether to bring the schema up to date; otherwise to wait until it is.
  bool migrate = true;
  // Events of the audit are deleted when they are older: 1 h..10 years.
  absl::Duration audit_retention = absl::Hours(24 * 30);
  // Dead letters older than that are deleted, once they were sent on where they are to be:
  // 1 h or more.
  absl::Duration dead_letter_retention = absl::InfiniteDuration();
  // A destination of dead letters that takes nothing is tried again after pauses that
  // grow from a second up to this: 1 s..1 h.
  absl::Duration on_failure_longest_pause = absl::Minutes(1);
  // After the signal to stop, serve on for this long while saying "not ready":
  // load balancers need a moment to see it. At most 10 min.
  absl::Duration drain_delay = absl::ZeroDuration();
  // Then calls in flight may finish for this long: at most 10 min.
  absl::Duration drain_timeout = absl::Seconds(20);

  // INVALID_ARGUMENT naming what is wrong.
  absl::Status Validate() const;
};

// Serves until SIGTERM or SIGINT; waits for a database that is out of reach. An
// error says why it could not start.
absl::Status Serve(const ServeOptions& options, Logger& log);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SERVE_H_
