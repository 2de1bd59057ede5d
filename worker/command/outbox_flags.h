// The flags of --source outbox.
#ifndef LOWMARK_WORKER_COMMAND_OUTBOX_FLAGS_H_
#define LOWMARK_WORKER_COMMAND_OUTBOX_FLAGS_H_

#include "service/process/options.h"
#include "worker/source/postgres/outbox_source.h"

namespace lowmark {

void DeclareOutbox(Options& options, OutboxSourceOptions& flags);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_OUTBOX_FLAGS_H_
