// A unix-socket proxy before PostgreSQL that can cut a connection around COMMIT: how
// a test makes the outcome of a transaction unknown.
//
//   PostgresProxy proxy(TestCluster().socket_directory());
//   options.connection = "host=" + proxy.socket_directory() + " dbname=... user=postgres";
//   proxy.CutCommits(PostgresProxy::Cut::kAfter, 1);
#ifndef LOWMARK_TESTS_SUPPORT_POSTGRES_PROXY_H_
#define LOWMARK_TESTS_SUPPORT_POSTGRES_PROXY_H_

#include <string>
#include <thread>
#include <vector>

#include "service/process/mutex.h"

namespace lowmark {

// Thread-safe. The destructor cuts all connections.
class PostgresProxy {
 public:
  enum class Cut {
    kBefore,  // COMMIT never reaches the server, which rolls back
    kAfter,   // the server commits; the client never hears of it
  };

  // `server_directory` holds the server's socket.
  explicit PostgresProxy(const std::string& server_directory);
  ~PostgresProxy();
  PostgresProxy(const PostgresProxy&) = delete;
  PostgresProxy& operator=(const PostgresProxy&) = delete;

  // For "host=" of a connection string.
  const std::string& socket_directory() const { return directory_; }

  // The next `times` transactions that commit lose their connection.
  void CutCommits(Cut cut, int times);
  // Connections that were cut so far.
  int cuts();

 private:
  void Accept();
  // Passes bytes on until either side closes or a commit is cut.
  void Serve(int client, int server);
  bool TakeCut(Cut& cut);

  const std::string server_path_;
  std::string directory_;
  int listen_fd_ = -1;
  int stop_fd_ = -1;
  std::thread acceptor_;
  Mutex mutex_;
  std::vector<std::thread> connections_ LOWMARK_GUARDED_BY(mutex_);
  Cut cut_ LOWMARK_GUARDED_BY(mutex_) = Cut::kBefore;
  int left_ LOWMARK_GUARDED_BY(mutex_) = 0;
  int cuts_ LOWMARK_GUARDED_BY(mutex_) = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_POSTGRES_PROXY_H_
