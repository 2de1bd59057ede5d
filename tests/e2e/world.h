// Everything of a real Lowmark in one place, for tests that stop and kill parts of
// it: PostgreSQL, coordinators, workers with the file source, and a handler that
// keeps a ledger.
#ifndef LOWMARK_TESTS_E2E_WORLD_H_
#define LOWMARK_TESTS_E2E_WORLD_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"

namespace lowmark {

// What the handlers wrote, and what became of each record in the end.
struct Ledger {
  // By shard: the numbers of the records in the order in which they were taken up
  // for the first time.
  std::map<std::string, std::vector<int>> first_taken;
  // How often a record ("SHARD-N") was processed.
  std::map<std::string, int> processed;
  size_t lines = 0;
};

struct WorldOptions {
  // Workers are given the addresses of so many coordinators, at most 4 ...
  int coordinators = 1;
  // ... unless this says where they are.
  std::string target = {};
  absl::Duration session_ttl = absl::Seconds(3);
  absl::Duration connection_age = absl::Minutes(10);
  // The workers' flags of their source, where that is not the one of the files below.
  std::vector<std::string> source = {};
  // The same of their handler, where that is not the one that keeps the ledger.
  std::vector<std::string> handler = {};
  // What is added to the workers' environment.
  std::vector<std::pair<std::string, std::string>> worker_env = {};
  // More options of `lowmark-coordinator serve`, of workers, and of `lowmark`.
  std::vector<std::string> serve = {};
  std::vector<std::string> worker = {};
  std::vector<std::string> cli = {};
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();

  std::string SourceFile(const std::string& name) const;
  // Opens shards "s0".. without records.
  void OpenShards(int shards);
  // Appends so many records to each shard: every 97th is bad, every 31st of the
  // others flaky.
  void Append(int records);
  // Nothing follows what was appended.
  void CloseShards();
  // Of another source: its shard's record `n`, counted from 1, has this sequence
  // number; "good", "flaky" or "bad".
  void Expect(const std::string& shard, int n, const std::string& sequence,
              const std::string& kind = "good");
  // What a record is by its number, as Append has it.
  static std::string KindOf(int n) { return n % 97 == 0 ? "bad" : n % 31 == 0 ? "flaky" : "good"; }
  // All three.
  void WriteShards(int shards, int records);
  // Whether each look at what is waited for appends a record to each shard: a load
  // that goes on.
  void FeedWhileWaiting(bool feed) { feed_ = feed; }

  void StartPostgres();
  // Makes a standby of postgres(); coordinators that are started from then on know both.
  void AddStandby();
  // In place of postgres(), which was killed: the standby is postgres() from then on.
  void PromoteStandby();
  // What coordinators that are started from then on connect to.
  void UseDatabase(const std::string& connection) { database_ = connection; }
  // What workers that are started from then on run for each batch, in place of the
  // handler that keeps the ledger.
  void UseHandler(const std::string& command) { handler_ = command; }
  // HOST:PORT of coordinator `i`, which it keeps when it is started again.
  static std::string Address(int i);
  // Where gRPC finds the coordinators.
  std::string Target() const;
  // Starts coordinator `i` there, or at another address.
  void StartCoordinator(int i = 0) { StartCoordinator(i, Address(i)); }
  void StartCoordinator(int i, const std::string& address);
  void StartWorker(int i);
  // Batches of 20, two retries, short backoff. Workers process "t".
  void CreateStream(const std::string& stream = "t", const std::vector<std::string>& sets = {});

  // What `lowmark` prints when it is given these arguments; expects that it succeeds.
  std::string Cli(std::vector<std::string> arguments);
  // The line that it prints when it fails with these arguments alone.
  std::string CliFails(std::vector<std::string> arguments);

  PostgresCluster& postgres() { return *postgres_; }
  PostgresCluster& standby() { return *standby_; }
  std::unique_ptr<ChildProcess>& coordinator(int i = 0) { return coordinators_[i]; }
  std::unique_ptr<ChildProcess>& worker(int i) { return workers_[i]; }
  const std::string& directory() const { return directory_; }

  // Whether the condition came true within a minute.
  bool Await(const std::function<bool()>& condition);
  bool AwaitReady(int coordinator = 0);
  bool AwaitLines(size_t lines);
  // Until so many lines more are in the ledger than now.
  bool AwaitProgress(size_t lines) { return AwaitLines(ReadLedger().lines + lines); }
  // Stops a process with SIGTERM; whether it ended in order.
  bool Stop(ChildProcess& process);
  // Until every record was processed or set aside.
  bool AwaitProcessed();
  // Until every shard was read to its end.
  bool AwaitDone();

  Ledger ReadLedger() const;
  // Expects that every record was processed or set aside, each the right one, and for
  // the first time in order. How many were processed more than once, by shard.
  std::map<std::string, int> CheckLedger();
  // "SHARD-N" of the bad records; of those with a dead letter.
  const std::set<std::string>& bad() const { return bad_; }
  std::multiset<std::string> DeadLetters();
  // The log of a part, for the message of a failed test.
  std::string Log(const std::string& part) const;

  // What a part ("coordinator-0", "worker-1") answers to a GET of `path`: its
  // status code, a space, the body. Empty where it does not.
  std::string Get(const std::string& part, const std::string& path) const;
  std::string Readyz(int coordinator = 0) const;
  // HOST:PORT of a part's metrics; empty while it has not said it.
  std::string HttpAddress(const std::string& part) const;
  // A part's series of that metric, by their labels as they are written. Waits until the
  // part answers, and expects that it does.
  std::map<std::string, double> Metric(const std::string& part, const std::string& name);

 private:
  struct SourceShard {
    int records = 0;
    size_t bytes = 0;
  };

  const WorldOptions options_;
  std::string directory_;
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<PostgresCluster> standby_;
  std::string database_;
  std::string handler_;
  std::map<int, std::unique_ptr<ChildProcess>> coordinators_;
  std::map<int, std::unique_ptr<ChildProcess>> workers_;
  std::set<std::string> records_;
  std::set<std::string> bad_;
  // By shard: the sequence number of each record.
  std::map<std::string, std::map<std::string, int>> numbers_;
  std::map<std::string, SourceShard> shards_;
  bool feed_ = false;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_E2E_WORLD_H_
