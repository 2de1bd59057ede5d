// The key that all rows of a stream begin with.
#ifndef LOWMARK_STORE_POSTGRES_STREAM_ID_H_
#define LOWMARK_STORE_POSTGRES_STREAM_ID_H_

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "absl/status/statusor.h"
#include "service/core/error.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"

namespace lowmark {

// STREAM_NOT_FOUND.
inline absl::StatusOr<int64_t> FindStreamId(pqxx::transaction_base& transaction,
                                            const std::string& stream) {
  const pqxx::result rows = transaction.exec_params(sql::kSelectStreamId, stream);
  if (rows.empty()) return StreamNotFound(stream);
  return ToInt(rows[0][0]);
}

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_STREAM_ID_H_
