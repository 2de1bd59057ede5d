// The commands of `lowmark` that talk to a coordinator.
#ifndef LOWMARK_SERVICE_CLI_COMMANDS_H_
#define LOWMARK_SERVICE_CLI_COMMANDS_H_

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/cli/admin_client.h"
#include "service/process/options.h"
#include "service/security/connection_security.h"

namespace lowmark::cli {

// `streams`, `shards`, `workers` and `dead-letters`, added to a program.
class Commands {
 public:
  Commands(Options& options, std::ostream& out, std::ostream& err);

  // Runs the command that was parsed, if it is one of these. The result is OK, or
  // what to tell the user; INVALID_ARGUMENT means a wrong use.
  absl::Status Run();

 private:
  struct Command {
    CLI::App* app;
    std::function<absl::Status(AdminClient&)> run;
  };

  void AddStreams(Options& options);
  void AddShards(Options& options);
  void AddWorkers(Options& options);
  void AddDeadLetters(Options& options);
  CLI::App& Add(Options& options, CLI::App& parent, const std::string& name,
                const std::string& description, const std::string& example,
                std::function<absl::Status(AdminClient&)> run);
  void AddLimit(Options& options, CLI::App& command);

  absl::Status ListStreams(AdminClient& client);
  absl::Status GetStream(AdminClient& client);
  absl::Status CreateStream(AdminClient& client);
  absl::Status UpdateStream(AdminClient& client);
  absl::Status ApplyFile(AdminClient& client);
  absl::Status DeleteStream(AdminClient& client);
  absl::Status ListShards(AdminClient& client);
  absl::Status GetShard(AdminClient& client);
  absl::Status SeekShard(AdminClient& client);
  absl::Status ListWorkers(AdminClient& client);
  absl::Status CordonWorker(AdminClient& client);
  absl::Status UncordonWorker(AdminClient& client);
  absl::Status DrainWorker(AdminClient& client);
  absl::Status ListDeadLetters(AdminClient& client);
  absl::Status GetDeadLetter(AdminClient& client);

  // Shows a message as JSON, or else with `show`.
  template <typename Message, typename Show>
  absl::Status Print(const absl::StatusOr<Message>& message, Show show);
  // Shows a list, and on err that it is empty or goes on.
  template <typename Response, typename Show>
  absl::Status PrintList(const absl::StatusOr<Response>& list, int size, const std::string& what,
                         Show show);

  std::ostream& out_;
  std::ostream& err_;
  std::vector<Command> commands_;

  // What the command line says.
  std::string coordinator_ = "127.0.0.1:7070";
  absl::Duration timeout_ = absl::Seconds(10);
  ConnectionSecurity security_;
  std::string output_ = "table";
  int32_t limit_ = 100;
  std::string stream_;
  std::string shard_;
  std::string worker_;
  std::string id_;
  std::string etag_;
  std::string preset_ = "lowmark";
  std::vector<std::string> settings_;
  std::vector<std::string> resets_;
  std::string file_;
  std::vector<std::string> position_;
  std::string reason_;
  bool dry_run_ = false;
};

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_COMMANDS_H_
