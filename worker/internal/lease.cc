#include "worker/internal/lease.h"

#include <algorithm>

#include "service/core/error.h"
#include "service/rpc/convert.h"

namespace lowmark {

absl::StatusOr<WorkerDelivery> DeliveryFromProto(const v1::Delivery& proto, SequenceOrder order) {
  WorkerDelivery result;
  result.batch_id = proto.batch_id();
  Delivery& delivery = result.delivery;
  delivery.delivery = proto.delivery();
  auto start = PositionFromProto("delivery.start", proto.start(), order);
  if (!start.ok()) return start.status();
  delivery.start = *std::move(start);
  delivery.end_sequence = proto.end_sequence();
  if (!delivery.end_sequence.empty() && !IsSequence(delivery.end_sequence, order)) {
    return InvalidField("delivery.end_sequence", delivery.end_sequence, SequenceForm(order));
  }
  delivery.max_records = std::clamp(proto.max_records(), 1, Policy::kLargestBatch);
  if (proto.has_delay()) {
    auto delay = DurationFromProto("delivery.delay", proto.delay());
    if (!delay.ok()) return delay.status();
    delivery.delay = std::max(absl::ZeroDuration(), *delay);
  }
  delivery.attempt = proto.attempt();
  delivery.final_attempt = proto.final_attempt();
  delivery.declare = proto.declare();
  delivery.cause = CauseFromProto(proto.cause());
  return result;
}

absl::StatusOr<WorkerLease> LeaseFromProto(const v1::Lease& proto) {
  WorkerLease lease;
  lease.shard = proto.shard();
  lease.epoch = proto.epoch();
  lease.config_etag = proto.config_etag();
  auto policy = PolicyFromProto(proto.config(), Policy());
  if (!policy.ok()) return policy.status();
  lease.policy = *std::move(policy);
  auto delivery = DeliveryFromProto(proto.delivery(), lease.policy.sequence_order);
  if (!delivery.ok()) return delivery.status();
  lease.delivery = *std::move(delivery);
  return lease;
}

}  // namespace lowmark
