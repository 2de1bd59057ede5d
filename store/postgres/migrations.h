// The migrations, as the build found them in migrations/*.sql.
#ifndef LOWMARK_STORE_POSTGRES_MIGRATIONS_H_
#define LOWMARK_STORE_POSTGRES_MIGRATIONS_H_

#include <vector>

namespace lowmark {

struct Migration {
  int version = 0;
  const char* name = nullptr;  // "0001_initial"
  const char* sql = nullptr;
};

// In the order in which they are applied: versions 1, 2, ...
const std::vector<Migration>& Migrations();

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_MIGRATIONS_H_
