// The phase about workers that behave badly: those that take a shard, die and come
// back, and those that go by one id.
#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/bench/fleet_phases.h"

namespace lowmark {
namespace {

constexpr char kPhase[] = "hostile";
constexpr int kHealthy = 10;
constexpr int kShards = 100;
constexpr absl::Duration kTtl = absl::Seconds(2);
constexpr absl::Duration kReportPause = absl::Milliseconds(100);
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kSampleEvery = absl::Milliseconds(50);
// Expiry takes a moment to be found, and moves take one.
constexpr absl::Duration kFindExpired = absl::Seconds(1);
constexpr int64_t kOnTheMove = 5;
constexpr int kTwins = 2;
constexpr int kTwinShards = 20;
constexpr absl::Duration kTwinTime = absl::Seconds(4);

// One who takes what it is given, dies at once, and is there again as another.
class Dier {
 public:
  Dier(Fleet& fleet, std::string stream) : fleet_(fleet), stream_(std::move(stream)) {}

  void Start() {
    worker_ = &fleet_.Add({.stream = stream_, .name = absl::StrCat("dier-", ++number_)});
    worker_->Start();
  }

  void Look() {
    if (worker_->held() == 0) return;
    worker_->Kill();
    deaths_.push_back(std::chrono::steady_clock::now());
    Start();
  }

  int64_t deaths() const { return static_cast<int64_t>(deaths_.size()); }
  int64_t DeathsSince(SteadyTime time) const {
    return deaths_.end() - std::lower_bound(deaths_.begin(), deaths_.end(), time);
  }

 private:
  Fleet& fleet_;
  const std::string stream_;
  FleetWorker* worker_ = nullptr;
  int number_ = 0;
  std::deque<SteadyTime> deaths_;
};

absl::Status RunDiers(FleetRun& run) {
  if (auto s = run.servers.MakeStream("diers", kShards); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  fleet.Run([&] {
    for (int i = 0; i < kHealthy; ++i) {
      fleet
          .Add({.stream = "diers",
                .name = absl::StrCat("healthy-", i),
                .report_pause = kReportPause})
          .Start();
    }
  });
  if (!fleet.Await([&] { return fleet.Held() == kShards && fleet.Fair(); }, kPatience)) {
    return absl::DeadlineExceededError("the healthy workers never shared the shards");
  }
  // More than the deaths of the time that it takes to find them; a worker that is
  // new may have one shard.
  int64_t orphans = 0;
  int64_t most_above = 0;
  Dier dier(fleet, "diers");
  fleet.Run([&] { dier.Start(); });
  const SteadyTime end = SteadyDeadline(kTtl * run.options.hostile_ttls);
  while (std::chrono::steady_clock::now() < end) {
    fleet.Pause(kSampleEvery);
    fleet.Run([&] {
      const int64_t without = kShards - fleet.Held();
      const int64_t dead = dier.DeathsSince(std::chrono::steady_clock::now() -
                                            absl::ToChronoNanoseconds(kTtl + kFindExpired));
      orphans = std::max(orphans, without);
      most_above = std::max(most_above, without - dead);
      dier.Look();
    });
  }
  FleetResults& results = run.results;
  fleet.Run([&] {
    results.Add(kPhase, "workers that took a shard and died", static_cast<double>(dier.deaths()),
                "");
    results.Add(kPhase, "shards without a living worker, at most", static_cast<double>(orphans),
                "");
    results.Add(kPhase, "of these above the deaths within a TTL, at most",
                static_cast<double>(most_above), "", Limit::AtMost(kOnTheMove));
    results.Add(kPhase, "sessions of healthy workers lost",
                static_cast<double>(fleet.calls().Errors(kSessionExpired)), "", Limit::AtMost(0));
    for (const auto& worker : fleet.workers()) worker->Kill();
  });
  if (auto s = run.servers.CheckCheckpoints("diers", fleet.ledger()); !s.ok()) return s;
  results.AddViolations(kPhase, fleet.ledger().violations());
  return absl::OkStatus();
}

// Batches that the coordinators have accepted of a stream, by their own count and
// by its checkpoints.
struct Accepted {
  double counted = 0;
  double passed = 0;
};

absl::StatusOr<Accepted> ReadAccepted(FleetRun& run, const std::string& stream) {
  Accepted accepted;
  for (const ServerProcess& server : run.servers.coordinators()) {
    auto counted = SumMetric(server.http_address, "lowmark_batches_total",
                             {absl::StrCat("stream=\"", stream, "\""), "outcome=\"success\""});
    if (!counted.ok()) return counted.status();
    accepted.counted += *counted;
  }
  auto passed = run.servers.Query(
      absl::StrCat("SELECT sum(sequence::bigint) FROM lowmark.shards JOIN lowmark.streams USING "
                   "(stream_id) WHERE name = '",
                   stream, "' AND sequence <> ''"));
  if (!passed.ok()) return passed.status();
  int64_t records = 0;
  if (!absl::SimpleAtoi(*passed, &records)) return absl::InternalError("nothing was reported");
  accepted.passed = static_cast<double>(records) / FleetWorker::kBatch;
  return accepted;
}

absl::Status RunTwins(FleetRun& run) {
  if (auto s = run.servers.MakeStream("twins", kTwinShards); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  fleet.Run([&] {
    for (int i = 0; i < kTwins; ++i) {
      fleet.Add({.stream = "twins", .name = "twin", .report_pause = kReportPause}).Start();
    }
  });
  fleet.Pause(kTwinTime);
  int64_t reported = 0;
  SteadyTime from;
  fleet.Run([&] { from = std::chrono::steady_clock::now(); });
  const bool alive =
      fleet.Await([&] { return fleet.ledger().ReportedSince(from) == kTwinShards; }, kPatience);
  fleet.Run([&] {
    reported = fleet.ledger().reports();
    for (const auto& worker : fleet.workers()) worker->Stop();
  });
  if (!alive) return absl::DeadlineExceededError("shards of two workers with one id stood still");
  if (!fleet.Await([&] { return fleet.Held() == 0; }, kPatience)) {
    return absl::DeadlineExceededError("workers with one id could not leave");
  }
  auto accepted = ReadAccepted(run, "twins");
  if (!accepted.ok()) return accepted.status();
  FleetResults& results = run.results;
  results.Add(kPhase, "two workers with one id: batches passed", accepted->passed, "");
  results.Add(kPhase, "two workers with one id: accepted twice or lost",
              std::abs(accepted->counted - accepted->passed), "", Limit::Always(0));
  results.Add(kPhase, "two workers with one id: reports answered OK", static_cast<double>(reported),
              "");
  if (auto s = run.servers.CheckCheckpoints("twins", fleet.ledger()); !s.ok()) return s;
  results.AddViolations(kPhase, fleet.ledger().violations());
  return absl::OkStatus();
}

}  // namespace

absl::Status RunHostile(FleetRun& run) {
  if (auto s = run.servers.StartCoordinators(1, {"--session-ttl", FlagText(kTtl)}); !s.ok()) {
    return s;
  }
  if (auto s = RunDiers(run); !s.ok()) return s;
  return RunTwins(run);
}

}  // namespace lowmark
