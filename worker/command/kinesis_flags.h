// The flags of --source kinesis.
#ifndef LOWMARK_WORKER_COMMAND_KINESIS_FLAGS_H_
#define LOWMARK_WORKER_COMMAND_KINESIS_FLAGS_H_

#include "service/process/options.h"
#include "worker/source/kinesis/kinesis_source.h"

namespace lowmark {

void DeclareKinesis(Options& options, KinesisSourceOptions& flags);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_KINESIS_FLAGS_H_
