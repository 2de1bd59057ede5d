// How fast something happens: the amount a second, averaged so that what happened a
// while ago weighs less.
#ifndef LOWMARK_WORKER_INTERNAL_LOAD_METER_H_
#define LOWMARK_WORKER_INTERNAL_LOAD_METER_H_

#include <cmath>
#include <cstddef>
#include <optional>

#include "absl/time/time.h"
#include "service/core/policy.h"
#include "service/process/mutex.h"

namespace lowmark {

// An exponential moving average. Not thread safe.
class LoadMeter {
 public:
  // What is older than this weighs less than 1/e of what is new.
  static constexpr absl::Duration kMemory = absl::Seconds(30);
  // Nothing is known before so much time was watched.
  static constexpr absl::Duration kFirst = absl::Seconds(5);

  explicit LoadMeter(SteadyTime start) : start_(start), last_(start) {}

  void Add(double amount, SteadyTime now) {
    Decay(now);
    sum_ += amount;
  }

  // The amount a second; nullopt where that is not known yet.
  std::optional<double> Rate(SteadyTime now) {
    Decay(now);
    const double watched = Seconds(now - start_);
    if (watched < absl::ToDoubleSeconds(kFirst)) return std::nullopt;
    // The sum of a steady rate of 1 would be this by now.
    const double memory = absl::ToDoubleSeconds(kMemory);
    return sum_ / (memory * (1 - std::exp(-watched / memory)));
  }

 private:
  static double Seconds(SteadyTime::duration duration) {
    return std::chrono::duration<double>(duration).count();
  }

  void Decay(SteadyTime now) {
    if (now <= last_) return;
    sum_ *= std::exp(-Seconds(now - last_) / absl::ToDoubleSeconds(kMemory));
    last_ = now;
  }

  const SteadyTime start_;
  SteadyTime last_;
  double sum_ = 0;
};

// A measure of a shard's load; without a value where it is not known yet.
struct ShardWeight {
  std::optional<double> load;
};

// What a shard weighs, in each measure that a policy may ask for.
class ShardMeter {
 public:
  explicit ShardMeter(SteadyTime start) : records_(start), handler_time_(start) {}

  // The handler was through with a batch.
  void Count(size_t records, absl::Duration handler_time, SteadyTime now) {
    records_.Add(static_cast<double>(records), now);
    handler_time_.Add(absl::ToDoubleSeconds(handler_time), now);
  }

  // nullopt where shards are shared out by their number.
  std::optional<ShardWeight> Weight(BalanceBy measure, SteadyTime now) {
    switch (measure) {
      case BalanceBy::kShards:
        break;
      case BalanceBy::kRecords:
        return ShardWeight{records_.Rate(now)};
      case BalanceBy::kHandlerTime:
        return ShardWeight{handler_time_.Rate(now)};
    }
    return std::nullopt;
  }

 private:
  LoadMeter records_;
  LoadMeter handler_time_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_LOAD_METER_H_
