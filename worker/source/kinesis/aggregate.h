// Records that the Kinesis Producer Library (KPL) put into one record of Kinesis, and
// sequence numbers for them.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_AGGREGATE_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_AGGREGATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/core/position.h"
#include "service/core/record.h"

namespace lowmark {

// Where records are de-aggregated, each has a sequence number of its own: that of
// Kinesis, followed by seven digits that count the records within it. A record that is
// no aggregate has 0000000; those of an aggregate count from 0000001. So they are
// compared as integers like any other, and a checkpoint can lie within an aggregate.
inline constexpr int kSubsequenceDigits = 7;
// Sequence numbers of Kinesis itself have no more digits.
inline constexpr int kKinesisDigits = 56;

// "<sequence>0000012" for 12.
std::string WithSubsequence(const std::string& sequence, int64_t subsequence);

// Where Kinesis is to be read from so that nothing at or after `from` is missed; what
// comes before it is then to be left out. A position with a sequence number of Kinesis
// itself, from before de-aggregation was turned on, stays as it is.
Position KinesisPosition(const Position& from);

// Whether `from` is a position of a stream that is de-aggregated.
bool HasSubsequence(const Position& from);

// The records that `record` is made of, with sequence numbers of their own: itself,
// where it is no aggregate. Data that begins as an aggregate but is none (its digest is
// wrong) is a record like any other, as in KPL's own consumers.
std::vector<Record> Deaggregate(Record record);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_AGGREGATE_H_
