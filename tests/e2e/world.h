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
#include <vector>

#include "absl/time/time.h"
#include "service/dev/child_process.h"
#include "service/dev/postgres_cluster.h"

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

class World {
 public:
  World();
  ~World();

  std::string SourceFile(const std::string& name) const;
  // Writes shards "s0".. of `records` records each, closed: every 97th is bad, every
  // 31st of the others flaky.
  void WriteShards(int shards, int records);

  void StartPostgres();
  // Starts coordinator `i`, on an address that stays its own.
  void StartCoordinator(int i = 0);
  void StartWorker(int i);
  // The stream "t": batches of 20, two retries, short backoff.
  void CreateStream();

  PostgresCluster& postgres() { return *postgres_; }
  std::unique_ptr<ChildProcess>& coordinator(int i = 0) { return coordinators_[i]; }
  std::unique_ptr<ChildProcess>& worker(int i) { return workers_[i]; }
  const std::string& directory() const { return directory_; }

  // Whether the condition came true within a minute.
  bool Await(const std::function<bool()>& condition);
  bool AwaitReady(int coordinator = 0);
  bool AwaitLines(size_t lines);
  // Until every shard was read to its end.
  bool AwaitDone();

  Ledger ReadLedger() const;
  // "SHARD-N" of all records; of the bad ones; of those with a dead letter.
  const std::set<std::string>& records() const { return records_; }
  const std::set<std::string>& bad() const { return bad_; }
  std::multiset<std::string> DeadLetters();
  // The log of a part, for the message of a failed test.
  std::string Log(const std::string& part) const;

  // What a part ("coordinator-0", "worker-1") answers to a GET of `path`: its
  // status code, a space, the body. Empty where it does not.
  std::string Get(const std::string& part, const std::string& path) const;
  std::string Readyz(int coordinator = 0) const;

 private:
  std::string HttpPort(const std::string& part) const;

  std::string directory_;
  std::unique_ptr<PostgresCluster> postgres_;
  std::map<int, std::unique_ptr<ChildProcess>> coordinators_;
  std::map<int, std::unique_ptr<ChildProcess>> workers_;
  std::set<std::string> records_;
  std::set<std::string> bad_;
  // By shard: the sequence number of each record.
  std::map<std::string, std::map<std::string, int>> numbers_;
  int shards_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_E2E_WORLD_H_
