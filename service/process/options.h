// The options of a program, from four places with one rule:
//
//   a flag            --session-ttl 30s
//   beats a variable  LOWMARK_SESSION_TTL=30s     (an empty one counts as unset)
//   beats a file      session-ttl: 30s            (YAML, named by --config)
//   beats the default.
//
//   Options options("lowmark-coordinator", "Leases shards and keeps checkpoints.");
//   CLI::App& serve = options.AddCommand(options.app(), "serve", "Serve workers.",
//                                        "lowmark-coordinator serve --database dbname=lowmark");
//   ServeOptions serving;
//   options.Add(serve, "database", serving.database, "PostgreSQL connection
//   string")->group("Storage"); options.Require(serve, "database"); options.Add(serve,
//   "session-ttl", serving.session_ttl, "Life of a worker without heartbeat");
//   options.AddConfig(serve);
//   if (std::optional<int> exit = options.Parse(argc, argv)) return *exit;
//   if (serve.parsed()) return Serve(serving);
//
// Add returns CLI11's option, for group(), type_name() and check(Range(1, 64)). CLI11's own
// required(), envname() and set_config() must not be used: they know another rule
// (a file beats a variable).
#ifndef LOWMARK_SERVICE_PROCESS_OPTIONS_H_
#define LOWMARK_SERVICE_PROCESS_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lowmark {

class Options {
 public:
  // A program with the flags --help and --version.
  Options(const std::string& program, const std::string& description,
          const std::string& example = "");

  // The program itself, and a command of it or of another command. One of a
  // program's commands has to be given.
  CLI::App& app() { return app_; }
  CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                       const std::string& example = "");

  // An option of a command; `value` holds the default and is set by Parse. `name`
  // is as in "session-ttl", or with a short flag as in "output,o"; in a file, - and _
  // are the same. A bool is true where
  // its flag stands alone; a list is repeated flags, a YAML list, or a variable
  // with commas.
  CLI::Option* Add(CLI::App& command, const std::string& name, std::string& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, int32_t& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, int64_t& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, double& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, bool& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, absl::Duration& value,
                   const std::string& description);
  CLI::Option* Add(CLI::App& command, const std::string& name, std::vector<std::string>& value,
                   const std::string& description);
  // The option must be given, in whatever way.
  void Require(CLI::App& command, const std::string& name);
  // The flag --config (LOWMARK_CONFIG). A key that is an option of another command
  // of the program is ignored, so that commands can share a file; any other
  // unknown key is an error.
  void AddConfig(CLI::App& command);

  // Sets all values. Otherwise returns what to exit with: 0 after --help or
  // --version, which go to `out`; 2 after one line on `err` that says what is
  // wrong and what to do.
  std::optional<int> Parse(int argc, const char* const* argv);
  std::optional<int> Parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

  // For values that only the program itself finds to be wrong, after Parse: says so
  // in the same form, and returns 2. An error that begins with an option's name
  // (as InvalidField("listen", ...) makes it) is taken to be about its flag.
  int Refuse(const absl::Status& status, std::ostream& err);

 private:
  struct Entry {
    CLI::App* command;
    CLI::Option* option;
    std::string name;
    bool required = false;
    // Comes after the checks that callers of Add give, which say more.
    std::optional<CLI::Validator> last_check = std::nullopt;
  };
  CLI::Option* Register(CLI::App& command, const std::string& name, CLI::Option* option,
                        const std::string& type_name);
  std::vector<CLI::App*> ParsedCommands();
  absl::Status Resolve(const std::vector<CLI::App*>& commands);
  std::vector<std::string> FileOptions() const;
  int Refuse(const std::string& why, std::ostream& err);
  const CLI::Option* FlagBefore(const CLI::App& command, const std::string& extra) const;
  std::string Explain(const CLI::ParseError& error, const CLI::App& command) const;

  CLI::App app_;
  std::vector<Entry> entries_;
  std::string config_;
  std::vector<std::string> arguments_;  // of the command line
};

// For check(): numbers, or words, that an option allows.
CLI::Validator Range(int64_t low, int64_t high);
CLI::Validator OneOf(const std::vector<std::string>& words);

// "LOWMARK_SESSION_TTL" for "session-ttl".
std::string EnvironmentName(const std::string& option);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_OPTIONS_H_
