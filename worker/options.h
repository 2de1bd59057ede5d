// How a worker runs.
#ifndef LOWMARK_WORKER_OPTIONS_H_
#define LOWMARK_WORKER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/security/connection_security.h"

namespace lowmark {

struct WorkerOptions {
  // Where the coordinators are: "host:port" (every address the name has is
  // used), "unix:/path", or any target that gRPC understands. Required.
  std::string coordinator;
  // How the connections to them are secured, and as whom the worker calls: plain, and
  // as nobody, unless it says otherwise.
  ConnectionSecurity security;
  // The stream to process; it must exist. Required.
  std::string stream;
  // Leases held at most: 1..100000. Each may hold a batch in memory, and a
  // second one where read_ahead_bytes allows.
  int32_t max_leases = 1000;
  // This worker's weight when shards are shared out: 1..1000000.
  int32_t capacity = 1;
  // Threads that run the handler, so batches in processing at most: 1..1000.
  int32_t threads = 8;
  // Threads that read the source: 1..1000.
  int32_t source_threads = 2;
  // How long Stop lets batches in processing run on: 0..1 h. What is not done
  // then counts as a lost delivery.
  absl::Duration grace = absl::Seconds(25);
  // How often the source is listed while this worker is the one to do it.
  absl::Duration sync_interval = absl::Seconds(10);
  // How long a shard that has nothing new is left alone at most; shorter at
  // first: 1 ms..60 s.
  absl::Duration poll_interval = absl::Milliseconds(500);
  // A shard counts as idle when nothing waits in it and nothing has come for so long, which
  // autoscalers hear of: 1 s..1 h.
  absl::Duration idle_after = absl::Minutes(1);
  // How long one LeaseShard call waits for a free shard: 1 s..5 min.
  absl::Duration lease_wait = absl::Seconds(30);
  // The time limit of every other call: 100 ms..5 min.
  absl::Duration call_timeout = absl::Seconds(10);
  // The pause before a failed call or read is tried again: doubled from the
  // first to the second, spread by a fifth.
  absl::Duration retry_initial = absl::Milliseconds(100);
  absl::Duration retry_maximum = absl::Seconds(5);
  // While all shards together hold more than this, none reads ahead of the
  // batch it is at. Not a limit of memory: batches in processing always fit.
  int64_t read_ahead_bytes = int64_t{256} << 20;
  // A handler call that is this long past its deadline makes the worker
  // unhealthy (Worker::healthy): its shard can only go on in another process.
  absl::Duration overrun_limit = absl::Minutes(5);

  // How log lines on standard error look: "console" or "json".
  std::string log_format = "console";

  // INVALID_ARGUMENT naming field, value and what is allowed.
  absl::Status Validate() const;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_OPTIONS_H_
