// A lease and its deliveries, as the worker uses them.
#ifndef LOWMARK_WORKER_INTERNAL_LEASE_H_
#define LOWMARK_WORKER_INTERNAL_LEASE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "lowmark/v1/coordinator.pb.h"
#include "service/core/policy.h"
#include "service/core/step.h"

namespace lowmark {

// A delivery with the batch id that handlers see, which is opaque.
struct WorkerDelivery {
  Delivery delivery;  // batch_id is not used
  std::string batch_id;
};

struct WorkerLease {
  std::string shard;
  int64_t epoch = 0;
  WorkerDelivery delivery;
  Policy policy;
  std::string config_etag;
};

// INVALID_ARGUMENT where the coordinator sent what this worker does not
// understand: one of them is too old for the other.
absl::StatusOr<WorkerDelivery> DeliveryFromProto(const v1::Delivery& proto, SequenceOrder order);
absl::StatusOr<WorkerLease> LeaseFromProto(const v1::Lease& proto);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_LEASE_H_
