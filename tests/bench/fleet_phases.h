// The phases of the fleet driver. Each starts the coordinators and the stream that
// it needs, adds its figures to the results, and leaves no worker behind. An error
// means that it could not be measured.
#ifndef LOWMARK_TESTS_BENCH_FLEET_PHASES_H_
#define LOWMARK_TESTS_BENCH_FLEET_PHASES_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/bench/fleet.h"
#include "tests/bench/fleet_results.h"
#include "tests/bench/fleet_servers.h"

namespace lowmark {

struct FleetOptions {
  int shards = 100000;
  int workers = 1000;
  // Of the sessions in the cold start and after it.
  absl::Duration session_ttl = absl::Seconds(15);
  // An idle connection of PostgreSQL keeps what it counted to itself for ten.
  absl::Duration statistics_lag = absl::Seconds(11);
  // Of the sessions in the outage, which is twice as long.
  absl::Duration outage_ttl = absl::Seconds(6);
  // A load of reports is measured so long, so many times.
  absl::Duration load = absl::Seconds(3);
  int rounds = 5;
  std::vector<int> in_flight = {256, 1000};
  int wake_ups = 100;
  int waiters = 200;
  int handoff_shards = 200;
  // Of the coordinators in the handoff: their defaults.
  absl::Duration balance_interval = absl::Seconds(1);
  absl::Duration balance_settling = absl::Seconds(5);
  // How long workers that die over and over are watched, in TTLs.
  int hostile_ttls = 8;
};

struct FleetRun {
  const FleetOptions& options;
  FleetServers& servers;
  FleetResults& results;
};

// All workers start at once on a stream that nobody has leased anything of; then
// they hold their shards and have nothing to report.
absl::Status RunColdStart(FleetRun& run);
// Reports to a stream of 1,000 shards and to one of all shards, in turn.
absl::Status RunReports(FleetRun& run);
// A shard goes to and fro between workers at different coordinators.
absl::Status RunWakeUp(FleetRun& run);
// Many wait for the one shard that there is.
absl::Status RunHerd(FleetRun& run);
// A worker joins others under load, and leaves again.
absl::Status RunHandoff(FleetRun& run);
// PostgreSQL dies and comes back when all sessions have expired.
absl::Status RunOutage(FleetRun& run);
// Workers that take a shard and die, in a loop, and workers with one id.
absl::Status RunHostile(FleetRun& run);

// As a flag takes it: "15s".
std::string FlagText(absl::Duration duration);

// How late the driver itself was, to judge the phase's latencies by. On the loop.
void AddLateness(FleetResults& results, const std::string& phase, const Fleet& fleet);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_PHASES_H_
