// `lowmark dev`: everything on this machine, with one command. A PostgreSQL of its
// own, a coordinator, and workers for one stream, kept running until it is
// interrupted. Its parts end with it, however it ends.
#ifndef LOWMARK_SERVICE_CLI_DEV_COMMAND_H_
#define LOWMARK_SERVICE_CLI_DEV_COMMAND_H_

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "service/dev/supervisor.h"
#include "service/process/options.h"
#include "service/process/shutdown.h"

namespace lowmark::cli {

class DevCommand {
 public:
  // Adds the command to a program.
  DevCommand(Options& options, std::ostream& out);

  bool parsed() const { return command_.parsed(); }
  // Runs until the end is asked for. INVALID_ARGUMENT means a wrong use.
  absl::Status Run();

 private:
  absl::Status Validate() const;
  absl::Status StartAll(Supervisor& supervisor, Shutdown& shutdown);
  absl::Status StartPostgres(Supervisor& supervisor, Shutdown& shutdown);
  absl::Status StartCoordinator(Supervisor& supervisor, Shutdown& shutdown);
  absl::Status CreateStream();
  absl::Status StartWorker(Supervisor& supervisor, Shutdown& shutdown, int number);
  void Say(const std::string& part, const std::string& what);
  void SayWhatNext();

  CLI::App& command_;
  std::ostream& out_;

  // What the command line says.
  std::string data_;
  std::string listen_ = "127.0.0.1:7070";
  std::string http_listen_ = "127.0.0.1:7071";
  std::string stream_;
  std::string preset_ = "lowmark";
  std::vector<std::string> settings_;
  std::string source_path_;
  std::string handler_command_;
  std::string handler_url_;
  int32_t workers_ = 1;

  // What came of it.
  std::string coordinator_program_;
  std::string worker_program_;
  std::string directory_;  // absolute
  std::string connection_;
};

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_DEV_COMMAND_H_
