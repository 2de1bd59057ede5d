// A record: what a source has at one sequence number.
#ifndef LOWMARK_SERVICE_CORE_RECORD_H_
#define LOWMARK_SERVICE_CORE_RECORD_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

// The times that may be told of a record, within what a Timestamp's nanoseconds hold.
inline constexpr absl::Time kEarliestArrival = absl::UnixEpoch();
inline constexpr absl::Time kLatestArrival = absl::FromUnixSeconds(9'223'372'035);  // in 2262

struct Record {
  std::string sequence;
  std::string partition_key;  // any bytes, up to 64 KiB
  absl::Time arrival_time;    // by the source's clock
  std::string data;           // any bytes
  // What the source has beside its data (Kafka's headers): names and values, any
  // bytes, in its order; a name may be there more than once.
  std::vector<std::pair<std::string, std::string>> headers = {};

  bool operator==(const Record&) const = default;
};

// What it takes in memory, about.
inline int64_t RecordBytes(const Record& record) {
  size_t bytes = record.data.size() + record.partition_key.size();
  for (const auto& [name, value] : record.headers) bytes += name.size() + value.size();
  return static_cast<int64_t>(bytes);
}

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_RECORD_H_
