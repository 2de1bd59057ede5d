// Which shards of a source's list are new, and what each of them waits for.
#ifndef LOWMARK_STORE_TOPOLOGY_H_
#define LOWMARK_STORE_TOPOLOGY_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "store/store.h"

namespace lowmark {

// The listed shards that are not in `known` (shard -> whether it is done), each
// once, as they are to be stored. INVALID_ARGUMENT for text that cannot be
// stored, an empty id, a parent that is neither known nor listed, and new shards
// that are each other's ancestors.
absl::StatusOr<std::vector<ShardRecord>> PlanNewShards(const std::string& stream,
                                                       const Policy& policy,
                                                       const std::map<std::string, bool>& known,
                                                       const std::vector<SourceShard>& listed);

}  // namespace lowmark

#endif  // LOWMARK_STORE_TOPOLOGY_H_
