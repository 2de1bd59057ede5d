// What PostgreSQL's rows say about a stream's workers.
#ifndef LOWMARK_STORE_POSTGRES_SESSIONS_H_
#define LOWMARK_STORE_POSTGRES_SESSIONS_H_

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "absl/status/status.h"
#include "service/core/assignment.h"
#include "service/core/policy.h"
#include "store/store.h"

namespace lowmark {

absl::Status SessionExpired(const std::string& worker);

// A row of WORKER_COLUMNS.
WorkerRecord ReadWorker(const pqxx::row& row);

// What kReadCensus gives. `free` are the shards that can be leased.
struct FleetRead {
  Census census;
  int64_t free = 0;
};
FleetRead ReadFleet(const pqxx::result& rows, const Policy& policy);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_SESSIONS_H_
