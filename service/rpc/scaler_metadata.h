// What the trigger of a KEDA ScaledObject says: its metadata, checked.
#ifndef LOWMARK_SERVICE_RPC_SCALER_METADATA_H_
#define LOWMARK_SERVICE_RPC_SCALER_METADATA_H_

#include <google/protobuf/map.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/scaling.h"

namespace lowmark {

struct ScalerMetadata {
  // `stream`: whose workers are scaled. Required.
  std::string stream;
  // `shardsPerWorker`: of the shards that have work, a worker's share: 1..100000.
  int32_t shards_per_worker = 10;
  // `targetLagAge`: where set, a worker more for each such part of the lag: 1s..24h.
  std::optional<absl::Duration> target_lag_age;
  // `wakeEvery`: see ScaleRule: 10s..24h.
  ScaleRule rule;
};

// What KEDA itself reads of the metadata is passed over, and so is the ending FromEnv of a
// name, whose value KEDA has looked up. INVALID_ARGUMENT naming key, value and what is
// allowed; for a key that nobody reads, too.
absl::StatusOr<ScalerMetadata> ParseScalerMetadata(
    const google::protobuf::Map<std::string, std::string>& metadata);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_SCALER_METADATA_H_
