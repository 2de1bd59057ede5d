// What a line of a file says.
#ifndef LOWMARK_WORKER_SOURCE_FILE_LINE_H_
#define LOWMARK_WORKER_SOURCE_FILE_LINE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "worker/source.h"

namespace lowmark {

// The members of a line's object that have a meaning; either may be empty.
struct LineFields {
  std::string key = {};
  std::string time = {};
  // Lines are records of DynamoDB's streams: objects with an object "dynamodb".
  bool dynamodb = false;
};

// The record of one line, without its newline, at `offset`. `now` is its arrival
// time where the line does not tell. Defect kUnreadable where it is not JSON, or
// not the record it should be, or its partition key is longer than a key may be (64 KiB).
SourceRecord ParseLine(absl::string_view line, int64_t offset, const LineFields& fields,
                       absl::Time now);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_FILE_LINE_H_
