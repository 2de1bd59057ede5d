// What the shards of one worker share. All of it is used on the loop.
#ifndef LOWMARK_WORKER_INTERNAL_CONTEXT_H_
#define LOWMARK_WORKER_INTERNAL_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <random>

#include "service/process/logging.h"
#include "worker/internal/coordinator_client.h"
#include "worker/internal/event_loop.h"
#include "worker/internal/handler_runs.h"
#include "worker/internal/metrics.h"
#include "worker/internal/thread_pool.h"
#include "worker/options.h"
#include "worker/source.h"

namespace lowmark {

struct WorkerContext {
  const WorkerOptions& options;
  const std::shared_ptr<EventLoop>& loop;
  const std::shared_ptr<Source>& source;
  const std::shared_ptr<LeaseTrust>& trust;
  ThreadPool& source_pool;
  CoordinatorClient& client;
  HandlerRuns& handlers;
  WorkerMetrics& metrics;
  Logger& log;
  std::mt19937_64& random;
  // Of all shards: record data read and not reported.
  int64_t buffered_bytes = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_CONTEXT_H_
