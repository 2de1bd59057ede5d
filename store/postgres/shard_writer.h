// Writes what decisions made of shards, with all that goes with it.
#ifndef LOWMARK_STORE_POSTGRES_SHARD_WRITER_H_
#define LOWMARK_STORE_POSTGRES_SHARD_WRITER_H_

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "store/store.h"

namespace lowmark {

// A shard as it was when its row was locked and as it is to be, with what all the
// changes in between set aside and put into the audit.
struct WrittenShard {
  Shard before;
  ShardChange change;
};

// Writes shards whose rows this transaction has locked, each of them once, with
// their dead letters and events; tells the children of those that ended, and
// hints at what became free. INTERNAL where a row is not what it was, UNAVAILABLE
// where a worker's session ended before it was given a lease. May throw what
// libpqxx throws.
absl::Status WriteShards(pqxx::transaction_base& transaction, const std::string& stream,
                         int64_t stream_id, const Policy& policy,
                         const std::vector<WrittenShard>& shards);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_SHARD_WRITER_H_
