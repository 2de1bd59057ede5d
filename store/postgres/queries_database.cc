// What is asked of the database itself, whatever it holds.
#include "store/postgres/queries.h"

namespace lowmark::sql {

const char kCheckWritable[] =
    "SELECT current_setting('transaction_read_only') = 'off', max(version) "
    "FROM lowmark.schema_migrations";

const char kReadSettings[] = R"sql(
SELECT current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('synchronous_commit'), current_setting('server_encoding'),
  current_setting('server_version_num')::integer, current_setting('transaction_read_only'),
  current_setting('synchronous_standby_names'))sql";

const char kHasMigrations[] = "SELECT to_regclass('lowmark.schema_migrations') IS NOT NULL";

const char kSelectMigrations[] =
    "SELECT version, checksum FROM lowmark.schema_migrations ORDER BY version";

// The transaction's commit waits for no standby.
const char kCommitAlone[] = "SET LOCAL synchronous_commit = local";

const char kActAsMadeRoles[] = "SET LOCAL createrole_self_grant = 'set, inherit'";

// The number is "lowmark" read as base 36; it is this program's alone.
const char kLockMigrations[] = "SELECT pg_advisory_xact_lock(47218405376)";

// PostgreSQL asks for the right to make schemas also where one is there already, which
// members of lowmark_migrate do not have.
const char kCreateMigrations[] = R"sql(
DO $$
BEGIN
  IF to_regnamespace('lowmark') IS NULL THEN CREATE SCHEMA lowmark; END IF;
END
$$;
CREATE TABLE IF NOT EXISTS lowmark.schema_migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
))sql";

const char kInsertMigration[] =
    "INSERT INTO lowmark.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

const char kChecksum[] = "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')";

}  // namespace lowmark::sql
