// A stream whose shards are all leased to one worker, and the load of that
// worker's reports: every batch succeeds, every answer is checked, and at the end
// so is the database.
#ifndef LOWMARK_TESTS_BENCH_REPORTS_H_
#define LOWMARK_TESTS_BENCH_REPORTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lowmark/v1/coordinator.pb.h"
#include "tests/bench/load.h"

namespace lowmark {

// A leased shard, as far as its coordinator has acknowledged it.
struct LeasedShard {
  std::string shard;
  int64_t epoch = 0;
  int64_t delivery = 0;      // the current one
  int64_t acknowledged = 0;  // the last sequence number of the last report
};

class ReportBench {
 public:
  // The first report of a shard ends `kBatch` after this. Long enough to be
  // typical; the shards' names are numbers so that pgbench can make them.
  static constexpr int64_t kFirstSequence = 49'590'000'000'000'000;
  static constexpr int64_t kFirstShard = 100'000;
  static constexpr int32_t kBatch = 100;

  // Creates a stream of `shards` shards through the coordinator at `channels` and
  // leases them all.
  static absl::StatusOr<std::unique_ptr<ReportBench>> Create(const Channels& channels,
                                                             const std::string& stream, int shards);

  // The slots that keep `in_flight` reports in flight. Each owns some of the
  // shards, and all shards take part whatever their number.
  std::vector<std::unique_ptr<Slot>> Slots(const Channels& channels, int in_flight);

  const std::string& stream() const { return stream_; }
  const std::vector<LeasedShard>& shards() const { return shards_; }

 private:
  ReportBench() = default;

  std::string stream_;
  std::string worker_;
  std::string config_etag_;
  std::vector<LeasedShard> shards_;
};

// The slots that keep `in_flight` empty calls in flight.
std::vector<std::unique_ptr<Slot>> EmptySlots(const Channels& channels, int in_flight);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_REPORTS_H_
