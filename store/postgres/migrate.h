// Brings a database's schema up to date, and says whether it can be served from.
#ifndef LOWMARK_STORE_POSTGRES_MIGRATE_H_
#define LOWMARK_STORE_POSTGRES_MIGRATE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "store/postgres/options.h"

namespace lowmark {

// Applies the migrations that the database has not seen, each in a transaction of
// its own; one process at a time does so, others wait. Where nothing is to be done
// no right to do it is needed. `on_notice` hears what the server has to say.
// UNAVAILABLE where the database is out of reach or busy; FAILED_PRECONDITION
// where its schema is newer than this program, or a migration that was applied has
// another text now; INTERNAL where a migration fails.
absl::Status Migrate(const PostgresOptions& options,
                     const std::function<void(const std::string&)>& on_notice = nullptr);

// OK where the database can be served from. UNAVAILABLE where it is out of reach,
// read-only, or its schema is missing or too old; FAILED_PRECONDITION where its
// schema is newer than this program, its encoding is not UTF8, the server is older
// than PostgreSQL 14, or may lose what it acknowledges and options.unsafe is off.
absl::Status CheckDatabase(const PostgresOptions& options);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_MIGRATE_H_
