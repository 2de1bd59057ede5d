// A record: what a source has at one sequence number.
#ifndef LOWMARK_SERVICE_CORE_RECORD_H_
#define LOWMARK_SERVICE_CORE_RECORD_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

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

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_RECORD_H_
