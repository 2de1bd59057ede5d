// A process to be killed with -9 while it has children:
//   doomed_parent sleep           starts `sleep 3600`
//   doomed_parent guarded         starts a shell, guarded, that starts it
//   doomed_parent handler         runs a shell as a handler, which starts it
//   doomed_parent postgres DIR    starts a PostgreSQL in DIR
// Prints the pid of what is to die with it, then waits for its end.
#include <unistd.h>

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"
#include "worker/internal/child.h"

namespace {

constexpr char kStart[] = "sleep 3600 & echo $!; wait";

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "sleep") {
    auto child = lowmark::ChildProcess::Start({.argv = {"sleep", "3600"}});
    if (!child.ok()) return 1;
    std::cout << (*child)->pid() << std::endl;
    (*child)->Wait(absl::InfiniteDuration());
  } else if (what == "guarded") {
    lowmark::ProcessOptions options = {.argv = {"/bin/sh", "-c", kStart}};
    options.out = lowmark::Output::Pipe();
    options.guarded = true;
    auto child = lowmark::ChildProcess::Start(options);
    if (!child.ok()) return 1;
    std::cout << *(*child)->ReadLine(absl::Minutes(1)) << std::endl;
    (*child)->Wait(absl::InfiniteDuration());
  } else if (what == "handler") {
    // A handler's output is read to its end: it writes where this does, once it has its
    // input, which comes when it is guarded.
    const std::string command =
        absl::StrCat("exec >/proc/", getpid(), "/fd/1; read line; ", kStart);
    lowmark::RunChild(command, "go\n", absl::InfiniteFuture(), /*abort_fd=*/-1);
  } else if (what == "postgres" && argc > 2) {
    auto cluster = lowmark::PostgresCluster::Create({.directory = argv[2]});
    if (!cluster.ok() || !(*cluster)->Start().ok()) return 1;
    std::cout << (*cluster)->pid() << std::endl;
    while (true) pause();
  }
  return 2;
}
