#include "service/core/balance_by_load.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "service/core/intake.h"

namespace lowmark {
namespace {

// Sums and means of loads are off by their rounding, far less than this part.
constexpr double kRounding = 1e-9;

// Between these bounds a worker's load can come to lie.
struct Range {
  double least = 0;
  double most = 0;
  double capacity = 1;
};

// The level of load for its capacity to which all workers would come if loads were
// a liquid. It is the mean, but for those that cannot come down or up to it: what
// they have less or more is the others'. Halves the range in which it lies.
double LevelOf(const std::vector<Range>& ranges, double total) {
  double low = 0;
  double high = 0;
  for (const Range& range : ranges) high = std::max(high, range.most / range.capacity);
  for (int halving = 0; halving < 60; ++halving) {
    const double level = low + (high - low) / 2;
    double sum = 0;
    for (const Range& range : ranges) {
      sum += std::clamp(level * range.capacity, range.least, range.most);
    }
    (sum <= total ? low : high) = level;
  }
  return low;
}

// Whether the worker is known to hold a shard of no more than `load`: what is asked
// of it otherwise may never come.
bool SurelyHolds(const WorkerLoad& worker, double load) {
  return worker.load <= load * static_cast<double>(worker.held) * (1 + kRounding);
}

double Relative(const WorkerLoad& worker) { return worker.load / worker.capacity; }

double TotalLoad(const Census& census) {
  double total = 0;
  for (const WorkerLoad& worker : census.workers) total += worker.load;
  return total;
}

int64_t TotalHeld(const Census& census) {
  int64_t held = 0;
  for (const WorkerLoad& worker : census.workers) held += worker.held;
  return held;
}

double MeanShard(const Census& census) {
  return TotalLoad(census) / static_cast<double>(std::max<int64_t>(1, TotalHeld(census)));
}

// Workers below the level.
class Takers {
 public:
  // One of them, that can take `room`; `full` says that it is at the level then.
  void Add(const WorkerLoad& worker, double room, bool full) {
    room_ += room;
    double& least = full ? least_ : least_of_few_;
    least = std::min(least, Relative(worker));
  }
  double room() const { return room_; }
  // The least load for its capacity of any of them. Those that may take few shards
  // only, far from what they miss, set no measure for the others.
  double least() const { return least_ < kNone ? least_ : least_of_few_; }

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  double room_ = 0;
  double least_ = kNone;
  double least_of_few_ = kNone;
};

// Works out what a stream's workers are to hand over, in load.
class LoadBalance {
 public:
  explicit LoadBalance(const Census& census);

  std::vector<Excess> ToHandOver() const;

 private:
  void FindLevel(const Census& census, const std::vector<double>& takes);
  // How much above the level the worker is; negative below it.
  double Above(const WorkerLoad& worker) const { return worker.load - level_ * worker.capacity; }
  // What is worth a move, for this worker.
  double Distance(const WorkerLoad& worker) const {
    return kWorthMoving * level_ * worker.capacity;
  }
  // Of one that holds a single shard nothing can be had: that would only move the
  // hot spot.
  bool CanShed(const WorkerLoad& worker) const { return !worker.draining && worker.held >= 2; }
  void SortByLoad();
  // What a worker has above the one that has the least, beyond what is worth a move.
  // With less between them after a move, shards would go back and forth as
  // measurements vary.
  double Gap(const WorkerLoad& worker, const Takers& takers) const {
    return worker.load - takers.least() * worker.capacity - Distance(worker);
  }
  // What is asked for, and the part of it that will come for sure.
  struct Shed {
    double all = 0;
    double sure = 0;
  };
  // Brings workers that are far above the level down to it. Others have room for it
  // below the level: that is what makes it the level.
  Shed ShedExcess(std::vector<Excess>& excess) const;
  // Lets others shed what those far below the level still need.
  void ShedForNeedy(double need, std::vector<Excess>& excess) const;
  double Spare(const WorkerLoad& worker) const;

  const std::vector<WorkerLoad>& workers_;
  double level_ = 0;
  double coming_ = 0;                      // what those that stay will be given in any case
  std::vector<size_t> most_loaded_first_;  // of those that can shed
  Takers takers_;
  Takers needy_;  // those of them that are far below the level
};

LoadBalance::LoadBalance(const Census& census) : workers_(census.workers) {
  const double shard = MeanShard(census);
  std::vector<double> takes;
  for (int64_t shards : IntakeOf(census).first) {
    takes.push_back(static_cast<double>(shards) * shard);
  }
  coming_ = shard * static_cast<double>(std::max<int64_t>(0, census.shards - TotalHeld(census)));
  FindLevel(census, takes);
  SortByLoad();
  for (size_t i = 0; i < workers_.size(); ++i) {
    const double below = -Above(workers_[i]);
    const double room = std::min(below, takes[i]);
    if (room <= 0) continue;
    takers_.Add(workers_[i], room, room == below);
    if (below > Distance(workers_[i])) needy_.Add(workers_[i], room, room == below);
  }
}

void LoadBalance::FindLevel(const Census& census, const std::vector<double>& takes) {
  const double total = TotalLoad(census) + coming_;
  std::vector<Range> ranges;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const WorkerLoad& worker = workers_[i];
    if (worker.draining) {
      coming_ += worker.load;
      continue;
    }
    const double least = CanShed(worker) ? 0 : worker.load;
    ranges.push_back({least, worker.load + takes[i], static_cast<double>(worker.capacity)});
  }
  level_ = LevelOf(ranges, total);
}

void LoadBalance::SortByLoad() {
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (CanShed(workers_[i])) order.emplace_back(-Relative(workers_[i]), i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [load, i] : order) most_loaded_first_.push_back(i);
}

std::vector<Excess> LoadBalance::ToHandOver() const {
  std::vector<Excess> excess(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].draining) excess[i].shards = workers_[i].held;
  }
  const Shed shed = ShedExcess(excess);
  const double room = std::min(needy_.room() - shed.sure, takers_.room() - shed.all);
  ShedForNeedy(room - coming_, excess);
  return excess;
}

LoadBalance::Shed LoadBalance::ShedExcess(std::vector<Excess>& excess) const {
  Shed shed;
  for (size_t i : most_loaded_first_) {
    const double above = Above(workers_[i]);
    if (above <= Distance(workers_[i])) break;
    const double load = std::min(above, Gap(workers_[i], takers_));
    if (load <= 0) continue;
    excess[i].load = load;
    shed.all += load;
    if (SurelyHolds(workers_[i], load)) shed.sure += load;
  }
  return shed;
}

void LoadBalance::ShedForNeedy(double need, std::vector<Excess>& excess) const {
  if (need <= 0) return;
  for (size_t i : most_loaded_first_) {
    if (excess[i].any()) continue;
    const double load = std::min(Spare(workers_[i]), need);
    if (load <= 0 || !SurelyHolds(workers_[i], load)) continue;
    excess[i].load = load;
    need -= load;
  }
}

// What a worker may give to those far below the level. If it can it stays near the
// level, so that many give little; where shards weigh more than that, it gives one.
double LoadBalance::Spare(const WorkerLoad& worker) const {
  const double gap = Gap(worker, needy_);
  const double spare = std::min(gap, Above(worker) + Distance(worker) / 2);
  const double shard = worker.load / static_cast<double>(worker.held);
  return spare >= shard ? spare : std::min(gap, shard);
}

}  // namespace

std::vector<Excess> ToHandOverByLoad(const Census& census) {
  return LoadBalance(census).ToHandOver();
}

std::vector<int64_t> ShareOutByLoad(const Census& census, int64_t free) {
  const Intake intake = IntakeOf(census);
  const double shard = MeanShard(census);
  std::vector<Vessel> vessels;
  for (size_t i = 0; i < census.workers.size(); ++i) {
    const WorkerLoad& worker = census.workers[i];
    vessels.push_back({worker.load, shard, static_cast<double>(worker.capacity), intake.first[i]});
  }
  std::vector<int64_t> given = Pour(vessels, free);
  for (size_t i = 0; i < vessels.size(); ++i) {
    free -= given[i];
    vessels[i].load += static_cast<double>(given[i]) * shard;
    vessels[i].room = given[i] == intake.first[i] ? intake.then[i] : 0;
  }
  if (free <= 0) return given;
  const std::vector<int64_t> rest = Pour(vessels, free);
  for (size_t i = 0; i < given.size(); ++i) given[i] += rest[i];
  return given;
}

}  // namespace lowmark
