// `lowmark`: what an operator types.
#include <iostream>

#include "absl/status/status.h"
#include "service/cli/commands.h"
#include "service/cli/dev_command.h"
#include "service/process/options.h"
#include "service/rpc/quiet.h"

int main(int argc, char** argv) {
  lowmark::QuietLibraries();
  lowmark::Options options("lowmark",
                           "Looks after a Lowmark coordinator: streams, shards, checkpoints and "
                           "dead letters. Or runs everything on this machine, to try it.",
                           "lowmark dev --help\n  lowmark streams list");
  lowmark::cli::DevCommand dev(options, std::cout);
  lowmark::cli::Commands commands(options, std::cout, std::cerr);
  if (const auto exit = options.Parse(argc, argv)) return *exit;
  const absl::Status status = dev.parsed() ? dev.Run() : commands.Run();
  if (status.ok()) return 0;
  std::cerr << "lowmark: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
