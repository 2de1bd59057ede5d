// Keeps the parts of a small system running on one machine: starts them one after
// the other, starts again what ends by itself, and stops all in reverse order.
#ifndef LOWMARK_SERVICE_DEV_SUPERVISOR_H_
#define LOWMARK_SERVICE_DEV_SUPERVISOR_H_

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"

namespace lowmark {

// Something that runs. Used by one thread at a time.
class Part {
 public:
  virtual ~Part() = default;

  // For people: "worker 1".
  virtual std::string name() const = 0;
  // Starts it, or starts it again after it has ended.
  virtual absl::Status Start() = 0;
  virtual bool running() = 0;
  // Whether it does its work; asked only while it runs.
  virtual bool ready() = 0;
  // How it ended, and what it said last.
  virtual std::string Ending() = 0;
  // Asks it to stop; returns at once.
  virtual void AskToStop() = 0;
  // Returns when it has stopped, which it is made to if it takes too long.
  virtual void AwaitStop() = 0;
};

// A program, with its output in a file.
class ProgramPart : public Part {
 public:
  struct Options {
    std::string name = {};
    // `out` and `err` are set to the log file.
    ProcessOptions process = {};
    std::string log = {};
    std::function<bool()> ready = [] { return true; };
    // How long it may take to stop before it is killed.
    absl::Duration grace = absl::Seconds(10);
  };

  explicit ProgramPart(Options options);

  std::string name() const override { return options_.name; }
  absl::Status Start() override;
  bool running() override;
  bool ready() override { return options_.ready(); }
  std::string Ending() override;
  void AskToStop() override;
  void AwaitStop() override;

 private:
  Options options_;
  std::unique_ptr<ChildProcess> process_;
};

// A PostgreSQL of our own.
class PostgresPart : public Part {
 public:
  explicit PostgresPart(std::unique_ptr<PostgresCluster> cluster) : cluster_(std::move(cluster)) {}

  PostgresCluster& cluster() { return *cluster_; }

  std::string name() const override { return "PostgreSQL"; }
  absl::Status Start() override { return cluster_->Start(); }
  bool running() override { return cluster_->running(); }
  bool ready() override { return true; }
  std::string Ending() override;
  void AskToStop() override {}
  void AwaitStop() override;

 private:
  std::unique_ptr<PostgresCluster> cluster_;
};

// Used by one thread at a time. The destructor stops all.
class Supervisor {
 public:
  // Says on `out`, a line each, what ends and is started again.
  explicit Supervisor(std::ostream& out) : out_(out) {}
  ~Supervisor() { Stop(); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Starts a part and waits until it is ready. An error says how it ended or that
  // it was not ready in time; CANCELLED when `cancelled` came true first. Parts of
  // a higher stage need those of lower ones: they are stopped before them.
  absl::Status Add(std::unique_ptr<Part> part, int stage, absl::Duration timeout,
                   const std::function<bool()>& cancelled);
  // Starts again what has ended and whose pause is over; to be called often.
  void Tend(absl::Time now);
  // Stops all, the last stage first, the parts of a stage together.
  void Stop();

 private:
  struct Tended {
    std::unique_ptr<Part> part;
    int stage = 0;
    absl::Time started = {};
    int failures = 0;
    // Set while it waits to be started again.
    std::optional<absl::Time> restart = {};
  };

  void TendOne(Tended& tended, absl::Time now);

  std::ostream& out_;
  std::vector<Tended> parts_;
};

// The pause before a part is started again after it has failed n times in a row.
absl::Duration RestartPause(int failures);

// The last line of a log that says something; empty where there is none.
std::string LastLine(const std::string& path);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_DEV_SUPERVISOR_H_
