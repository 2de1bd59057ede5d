// A worker: leases shards of a stream from the coordinator, reads them from a
// source, hands their records to a handler batch by batch, and reports what
// became of each batch. Workers keep nothing: any number of them may run, start
// and die at any time.
//
//   WorkerOptions options;
//   options.coordinator = "localhost:7070";
//   options.stream = "orders";
//   auto worker = Worker::Create(options, std::move(source), std::move(handler));
//   if (!worker.ok()) ...
//   absl::Status end = (*worker)->Run();  // until another thread calls Stop
//
// What a worker guarantees: the records of a shard reach the handler in order,
// at least once; never two batches of a shard at a time in one process; a batch
// whose outcome the coordinator has is not delivered again, except by its rules
// (a retry, an operator). After a crash, or while a worker is cut off for
// longer than its session lives, the batch in processing is delivered again.
#ifndef LOWMARK_WORKER_WORKER_H_
#define LOWMARK_WORKER_WORKER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/handler.h"
#include "worker/options.h"
#include "worker/source.h"

namespace lowmark {

class Runner;

// Thread safe.
class Worker {
 public:
  // INVALID_ARGUMENT where an option is wrong, or a file of its security of no use.
  // Connects to nothing yet.
  static absl::StatusOr<std::unique_ptr<Worker>> Create(const WorkerOptions& options,
                                                        std::shared_ptr<Source> source,
                                                        std::shared_ptr<Handler> handler);
  // Run must have returned.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Works until Stop; call it once. A coordinator that is not there, a stream
  // that does not exist yet and a source in trouble are waited for. OK when
  // everything in processing was reported and every lease released;
  // DEADLINE_EXCEEDED when the grace period ended first.
  absl::Status Run();

  // Makes Run return: fetches and leases nothing more, lets the batches in
  // processing end within the grace period, reports them, releases the leases.
  // Returns at once; repeating it changes nothing. Not for signal handlers.
  void Stop();

  // Whether the worker has a session with the coordinator.
  bool ready() const;
  // False when a handler does not return although its deadline is long past
  // (WorkerOptions::overrun_limit): the process should be replaced.
  bool healthy() const;
  // Everything the worker measures, in Prometheus' text format.
  std::string Metrics() const;

 private:
  explicit Worker(std::unique_ptr<Runner> runner);

  std::unique_ptr<Runner> runner_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_WORKER_H_
