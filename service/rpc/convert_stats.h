// What workers tell of their shards, between the wire and the core. FromProto checks all
// that can be checked without the database, and names the field.
#ifndef LOWMARK_SERVICE_RPC_CONVERT_STATS_H_
#define LOWMARK_SERVICE_RPC_CONVERT_STATS_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "lowmark/v1/stat.pb.h"
#include "service/core/shard_stat.h"

namespace lowmark {

// Bytes that a trouble's message may have.
inline constexpr size_t kLongestTrouble = 512;

void ToProto(const Trouble& trouble, v1::Trouble* proto);
absl::StatusOr<Trouble> TroubleFromProto(absl::string_view field, const v1::Trouble& proto);

// Shard and epoch are the caller's to fill in and to read.
void ToProto(const ShardStat& stat, v1::ShardStat* proto);
absl::StatusOr<ShardStat> StatFromProto(absl::string_view field, const v1::ShardStat& proto);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CONVERT_STATS_H_
