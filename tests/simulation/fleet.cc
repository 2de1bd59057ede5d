// lowmark-fleet-simulation: a large fleet through its days, balanced by the real
// decisions of the core. Each phase prints what it took, and beside it the limit;
// the program fails where one is missed. tests/simulation/run builds and runs it.
//
// rounds     of a second until nothing changed any more
// moved      shards that got another owner
// of one     how often the shard that moved most often did
// stuck      shards that nobody processed at a time
// imbalance  by number how many shards the worst worker is off its share; by load
//            the part of the fair load by which it is off that
// median ms  how long the decisions of a round took
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/core/seed.h"
#include "tests/simulation/simulated_fleet.h"

namespace lowmark {
namespace {

struct Options {
  int64_t workers = 10000;
  int64_t shards = 1000000;
  uint64_t seed = TestSeed();
  bool quick = false;
};

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// By load; beyond kWorthMoving for what is not divisible, of which the core and the
// measure below take account differently.
constexpr double kLoadImbalance = kWorthMoving + 0.01;

// What a phase may cost.
struct Bounds {
  int64_t rounds = 100;
  int64_t moved = 0;
  int64_t most_moves = 1;
  int64_t most_stuck = 0;
  double imbalance = 1;
};

class Simulation {
 public:
  explicit Simulation(const Options& options)
      : options_(options), random_(options.seed), fleet_(Fleet(options), options.seed) {}

  // Whether all bounds were kept.
  bool Run();

 private:
  static FleetOptions Fleet(const Options& options) {
    FleetOptions fleet;
    fleet.shards = options.shards;
    return fleet;
  }

  void ColdStart();
  void ScaleUp(const std::string& name, int64_t more);
  void ScaleDown();
  void RollingRestart();
  void CrashSome();
  void CrashLoop();
  void DrainSome();
  void TurnToLoad();
  void ScaleUpByLoad();
  void Noise();

  // Lets the fleet settle and prints the phase's row.
  void Finish(const std::string& name, const Bounds& bounds);
  double ImbalanceByNumber() const;
  // Does not count workers that have more only because a shard less would make no
  // difference worth a move.
  double ImbalanceByLoad() const;
  double FairLoad() const;
  int64_t ShardsOfLoaded() const;
  int64_t SharesOfMore(int64_t more) const;
  int64_t Percent(int64_t percent) const;
  // So many per cent of the workers, by chance.
  std::vector<size_t> Sample(int64_t percent);
  int64_t HeldBy(const std::vector<size_t>& workers) const;

  const Options options_;
  std::mt19937_64 random_;
  SimulatedFleet fleet_;
  bool by_load_ = false;
  bool kept_ = true;
};

bool Simulation::Run() {
  std::cout << absl::StrFormat("%d workers, %d shards, LOWMARK_TEST_SEED=%d\n", options_.workers,
                               options_.shards, options_.seed)
            << absl::StrFormat("%-26s %6s %6s %8s %8s %6s %6s %6s %6s %9s %6s %8s\n", "phase",
                               "rounds", "limit", "moved", "limit", "of one", "limit", "stuck",
                               "limit", "imbalance", "limit", "median ms");
  ColdStart();
  ScaleUp("scale-up by one", 1);
  ScaleUp("scale-up by 10 %", Percent(10));
  ScaleDown();
  RollingRestart();
  CrashSome();
  CrashLoop();
  DrainSome();
  TurnToLoad();
  ScaleUpByLoad();
  Noise();
  std::cout << (kept_ ? "All bounds were kept.\n" : "A bound was missed; see above.\n");
  return kept_;
}

void Simulation::ColdStart() {
  for (int64_t i = 0; i < options_.workers; ++i) fleet_.Join();
  Finish("cold start", {.moved = options_.shards});
}

void Simulation::ScaleUp(const std::string& name, int64_t more) {
  // They prove themselves one after the other: a shard that the first of them got
  // too many moves on once more.
  const Bounds bounds = {.moved = SharesOfMore(more), .most_moves = more == 1 ? 1 : 2};
  for (int64_t i = 0; i < more; ++i) fleet_.Join();
  Finish(name, bounds);
}

void Simulation::ScaleDown() {
  const std::vector<size_t> going = Sample(10);
  const int64_t held = HeldBy(going);
  for (size_t worker : going) fleet_.Leave(worker);
  Finish("scale-down by 10 %", {.moved = held});
}

void Simulation::RollingRestart() {
  constexpr size_t kWaves = 10;
  std::vector<size_t> old = fleet_.Working();
  std::shuffle(old.begin(), old.end(), random_);
  Bounds bounds = {.rounds = 100 * kWaves, .most_moves = 2 * kWaves};
  for (size_t wave = 0; wave < kWaves; ++wave) {
    const size_t begin = old.size() * wave / kWaves;
    const size_t end = old.size() * (wave + 1) / kWaves;
    for (size_t i = begin; i < end; ++i) {
      bounds.moved += fleet_.held(old[i]);
      fleet_.Leave(old[i]);
    }
    // What went to the others comes back when the new ones have proven themselves.
    bounds.moved += SharesOfMore(static_cast<int64_t>(end - begin));
    for (size_t i = begin; i < end; ++i) fleet_.Join();
    fleet_.Settle();
  }
  Finish("rolling restart in waves", bounds);
}

void Simulation::CrashSome() {
  const std::vector<size_t> dying = Sample(5);
  const int64_t held = HeldBy(dying);
  for (size_t worker : dying) fleet_.Crash(worker);
  Finish("crash of 5 %", {.moved = held, .most_stuck = held});
}

// A worker that dies over its first batch and is restarted at once, for four times
// the life of a session.
void Simulation::CrashLoop() {
  const int64_t incarnations = 4 * FleetOptions().ttl;
  int64_t dead = 0;
  for (int64_t i = 0; i < incarnations; ++i) {
    const size_t worker = fleet_.Join();
    fleet_.Round();
    fleet_.Crash(worker);
    dead = std::max(dead, fleet_.dead());
  }
  // Each takes one shard, which goes to others when its session has ended: at worst
  // to the next of its kind.
  Finish("crash loop of one worker", {.rounds = incarnations + 100,
                                      .moved = 2 * incarnations,
                                      .most_moves = 2 * 5,
                                      .most_stuck = dead});
}

void Simulation::DrainSome() {
  const std::vector<size_t> drained = Sample(1);
  const int64_t held = HeldBy(drained);
  for (size_t worker : drained) fleet_.Drain(worker);
  Finish("drain of 1 %", {.moved = held});
  kept_ = kept_ && HeldBy(drained) == 0;
  for (size_t worker : drained) fleet_.Leave(worker);
}

// Zipf: the second shard has half the load of the first, the third a third.
void Simulation::TurnToLoad() {
  std::vector<int64_t> ranks(options_.shards);
  std::iota(ranks.begin(), ranks.end(), 1);
  std::shuffle(ranks.begin(), ranks.end(), random_);
  for (int64_t i = 0; i < options_.shards; ++i) {
    fleet_.SetLoad(i, 1000.0 / static_cast<double>(ranks[i]));
  }
  by_load_ = true;
  fleet_.BalanceByLoad(true);
  Finish("by load: Zipf",
         {.rounds = 200, .moved = ShardsOfLoaded(), .most_moves = 4, .imbalance = kLoadImbalance});
}

void Simulation::ScaleUpByLoad() {
  const int64_t more = Percent(10);
  const Bounds bounds = {.moved = SharesOfMore(more), .most_moves = 3, .imbalance = kLoadImbalance};
  for (int64_t i = 0; i < more; ++i) fleet_.Join();
  Finish("by load: scale-up by 10 %", bounds);
}

// At first it moves what lay just below what is worth a move. Later it moves next
// to nothing, however long it lasts.
void Simulation::Noise() {
  constexpr double kNoise = 0.1;
  fleet_.MeasureWithNoise(kNoise);
  for (int i = 0; i < 200; ++i) fleet_.Round();
  Bounds bounds = {.rounds = 2000, .most_moves = 5, .imbalance = kWorthMoving + kNoise};
  bounds.moved = options_.shards / 20;
  Finish("by load: noise of 10 %", bounds);
  for (int i = 0; i < 200; ++i) fleet_.Round();
  bounds.moved = options_.shards / 200;
  Finish("by load: more of it", bounds);
}

void Simulation::Finish(const std::string& name, const Bounds& bounds) {
  const bool settled = fleet_.Settle();
  const FleetFigures& figures = fleet_.figures();
  const double imbalance = by_load_ ? ImbalanceByLoad() : ImbalanceByNumber();
  const bool kept = settled && figures.early == 0 && fleet_.stuck() == 0 &&
                    figures.rounds <= bounds.rounds && figures.moved <= bounds.moved &&
                    figures.most_moves <= bounds.most_moves &&
                    figures.most_stuck <= bounds.most_stuck && imbalance <= bounds.imbalance;
  std::cout << absl::StrFormat("%-26s %6d %6d %8d %8d %6d %6d %6d %6d %9.3f %6.2f %8.3f%s\n", name,
                               figures.rounds, bounds.rounds, figures.moved, bounds.moved,
                               figures.most_moves, bounds.most_moves, figures.most_stuck,
                               bounds.most_stuck, imbalance, bounds.imbalance,
                               Median(figures.decision_ms), kept ? "" : "  MISSED")
            << std::flush;
  kept_ = kept_ && kept;
  fleet_.StartPhase();
}

double Simulation::ImbalanceByNumber() const {
  double worst = 0;
  const double share =
      static_cast<double>(options_.shards) / static_cast<double>(fleet_.Working().size());
  for (size_t worker : fleet_.Working()) {
    worst = std::max(worst, std::abs(static_cast<double>(fleet_.held(worker)) - share));
  }
  return worst;
}

// The mean load of the workers, when each shard that is more than that has a worker
// to itself.
double Simulation::FairLoad() const {
  std::vector<double> loads = fleet_.ShardLoads();
  std::sort(loads.rbegin(), loads.rend());
  double load = std::accumulate(loads.begin(), loads.end(), 0.0);
  auto workers = static_cast<double>(fleet_.Working().size());
  for (double hot : loads) {
    if (hot <= load / workers) break;
    load -= hot;
    workers -= 1;
  }
  return load / workers;
}

double Simulation::ImbalanceByLoad() const {
  const double fair = FairLoad();
  double worst = 0;
  for (size_t worker : fleet_.Working()) {
    const double load = fleet_.LoadOf(worker);
    const bool indivisible =
        fleet_.held(worker) < 2 || load - fleet_.LightestOf(worker) < (1 + kLoadImbalance) * fair;
    if (load < fair || !indivisible) worst = std::max(worst, std::abs(load / fair - 1));
  }
  return worst;
}

// The shards of workers that are above what they should have by so much that it is
// worth a move.
int64_t Simulation::ShardsOfLoaded() const {
  const double limit = FairLoad() * (1 + kWorthMoving);
  int64_t shards = 0;
  for (size_t worker : fleet_.Working()) {
    if (fleet_.LoadOf(worker) > limit) shards += fleet_.held(worker);
  }
  return shards;
}

// The shards that so many more workers are given, when they come one by one.
int64_t Simulation::SharesOfMore(int64_t more) const {
  const auto workers = static_cast<int64_t>(fleet_.Working().size());
  int64_t shards = 0;
  for (int64_t i = 1; i <= more; ++i) shards += CeilDivide(options_.shards, workers + i);
  return shards;
}

int64_t Simulation::Percent(int64_t percent) const {
  return std::max<int64_t>(1, static_cast<int64_t>(fleet_.Working().size()) * percent / 100);
}

std::vector<size_t> Simulation::Sample(int64_t percent) {
  std::vector<size_t> workers = fleet_.Working();
  std::shuffle(workers.begin(), workers.end(), random_);
  workers.resize(Percent(percent));
  return workers;
}

int64_t Simulation::HeldBy(const std::vector<size_t>& workers) const {
  int64_t held = 0;
  for (size_t worker : workers) held += fleet_.held(worker);
  return held;
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) {
  lowmark::Options options;
  CLI::App app{"Simulates a large fleet on the core's real decisions."};
  app.add_option("--workers", options.workers, "Workers at the start")
      ->check(CLI::Range(20, 100000));
  app.add_option("--shards", options.shards, "Shards of the stream")
      ->check(CLI::Range(1, 100000000));
  app.add_option("--seed", options.seed, "Repeats a run; else LOWMARK_TEST_SEED, else chance");
  app.add_flag("--quick", options.quick, "200 workers and 20,000 shards");
  CLI11_PARSE(app, argc, argv);
  if (options.quick) {
    options.workers = 200;
    options.shards = 20000;
  }
  return lowmark::Simulation(options).Run() ? 0 : 1;
}
