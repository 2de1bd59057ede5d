// A process to be killed with -9 while it has children:
//   doomed_parent sleep           starts `sleep 3600`
//   doomed_parent postgres DIR    starts a PostgreSQL in DIR
// Prints the child's pid, then waits for its end.
#include <unistd.h>

#include <iostream>
#include <string>

#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "sleep") {
    auto child = lowmark::ChildProcess::Start({.argv = {"sleep", "3600"}});
    if (!child.ok()) return 1;
    std::cout << (*child)->pid() << std::endl;
    (*child)->Wait(absl::InfiniteDuration());
  } else if (what == "postgres" && argc > 2) {
    auto cluster = lowmark::PostgresCluster::Create({.directory = argv[2]});
    if (!cluster.ok() || !(*cluster)->Start().ok()) return 1;
    std::cout << (*cluster)->pid() << std::endl;
    while (true) pause();
  }
  return 2;
}
