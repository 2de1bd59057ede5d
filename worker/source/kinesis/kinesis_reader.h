// Reads one shard of Kinesis forward.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_READER_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_READER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "worker/source.h"
#include "worker/source/kinesis/kinesis_api.h"
#include "worker/source/kinesis/read_quota.h"

namespace lowmark {

// LATEST as a position that stays: AT_TIMESTAMP of Kinesis' clock now, since an empty
// end of a shard has no sequence number. Errors as in ShardReader::Read.
absl::StatusOr<Position> ResolveKinesisLatest(KinesisApi& api, const std::string& shard);

// The error as sources return them: what Kinesis does not find or refuses is this
// shard's, or the stream's, and stays until somebody changes something.
absl::Status SourceError(const absl::Status& error);

// What the readers of a source share.
struct KinesisReading {
  std::shared_ptr<KinesisApi> api;
  bool deaggregate = false;
  // Record data that readers have fetched beyond what was asked of them, in all, and
  // what makes them stop doing so.
  std::shared_ptr<std::atomic<int64_t>> surplus_bytes;
  int64_t most_surplus_bytes = 0;
};

// Not thread safe, as ShardReader says.
class KinesisReader : public ShardReader {
 public:
  // `from` is any position but SHARD_END.
  KinesisReader(KinesisReading reading, std::string shard, std::shared_ptr<ReadQuota> quota,
                Position from);
  ~KinesisReader() override;

  // Fetches as much as Kinesis gives in a call, and keeps what was not asked for: small
  // batches must not make five reads a second too few. Where the shard's quota
  // is spent it returns nothing, and asks for a pause.
  absl::StatusOr<ReadResult> Read(const ReadLimits& limits) override;

 private:
  absl::Status CheckPosition(const ReadLimits& limits) const;
  absl::Status Fetch(const ReadLimits& limits);
  absl::Status RenewIterator();
  void Keep(RecordsPage page, int32_t limit);
  // Kinesis does not find the shard: whether it is over, or never was.
  absl::Status OnNotFound(const absl::Status& error);
  ReadResult Serve(const ReadLimits& limits);
  ReadResult::State StateAfter(const ReadLimits& limits) const;

  const KinesisReading reading_;
  const std::string shard_;
  const std::shared_ptr<ReadQuota> quota_;
  Position from_;

  std::string iterator_;  // empty: to be got
  bool expired_ = false;  // the iterator before this one was
  std::string last_;      // Kinesis' number of the last record fetched
  std::string served_;    // our number of the last record returned
  std::deque<Record> surplus_;
  bool caught_up_ = false;  // nothing followed the last fetch
  bool nothing_ = false;    // it was empty
  bool ended_ = false;      // nothing will ever follow
  std::string vanished_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_READER_H_
