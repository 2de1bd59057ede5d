// PgBouncer in transaction mode before a PostgreSQL, where each transaction may get
// another session of the server.
//
//   Pooler pooler(TestCluster());
//   options.connection += " host=" + pooler.directory();   // the last one counts
#ifndef LOWMARK_TESTS_SUPPORT_POOLER_H_
#define LOWMARK_TESTS_SUPPORT_POOLER_H_

#include <memory>
#include <string>

#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"

namespace lowmark {

// Takes connections soon after it was made, on the port that the server has. It ends
// with the object. Where it cannot be started the test fails.
class Pooler {
 public:
  explicit Pooler(const PostgresCluster& server);
  ~Pooler();
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;

  // Of its socket.
  const std::string& directory() const { return directory_; }
  bool started() const { return process_ != nullptr; }

 private:
  std::string directory_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_POOLER_H_
