#include "tests/support/pooler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/test_database.h"

namespace lowmark {

Pooler::Pooler(const PostgresCluster& server) {
  std::string path = "/tmp/lowmark-pooler-XXXXXX";
  directory_ = mkdtemp(path.data());
  std::ofstream(directory_ + "/users") << '"' << TestDatabase::kAppUser << "\" \"\"\n"
                                       << "\"postgres\" \"\"\n";
  std::ofstream(directory_ + "/pgbouncer.ini")
      << "[databases]\n* = host=" << server.socket_directory() << " port=5432\n"
      << "[pgbouncer]\nlisten_addr =\nlisten_port = 5432\nunix_socket_dir = " << directory_
      << "\nauth_type = trust\nauth_file = " << directory_ << "/users\n"
      << "pool_mode = transaction\ndefault_pool_size = 10\n";
  ProcessOptions pgbouncer;
  pgbouncer.argv = {"/usr/sbin/pgbouncer", directory_ + "/pgbouncer.ini"};
  pgbouncer.out = Output::File(directory_ + "/log");
  pgbouncer.err = Output::Stdout();
  if (geteuid() == 0) {  // it does not run as root
    const Account account = *FindAccount("postgres");
    pgbouncer.user = account;
    for (const char* file : {"", "/users", "/pgbouncer.ini"}) {
      (void)chown((directory_ + file).c_str(), account.uid, account.gid);
    }
  }
  auto started = ChildProcess::Start(pgbouncer);
  EXPECT_TRUE(started.ok()) << started.status() << ": is the package pgbouncer installed?";
  if (started.ok()) process_ = *std::move(started);
}

Pooler::~Pooler() {
  process_.reset();
  std::filesystem::remove_all(directory_);
}

}  // namespace lowmark
