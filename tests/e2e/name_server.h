// A name server for tests: whatever it is asked for has the addresses that it was
// told last. gRPC asks it where the target names it:
//
//   NameServer names;
//   names.Set({"127.1.2.3"});
//   target = names.Target(7070);  // dns://127.0.0.1:PORT/coordinators.test:7070
#ifndef LOWMARK_TESTS_E2E_NAME_SERVER_H_
#define LOWMARK_TESTS_E2E_NAME_SERVER_H_

#include <string>
#include <thread>
#include <vector>

#include "service/process/mutex.h"

namespace lowmark {

// Thread-safe.
class NameServer {
 public:
  NameServer();
  ~NameServer();
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  // IPv4 addresses, as text.
  void Set(std::vector<std::string> addresses);
  // A gRPC target that asks this server, for a service on that port.
  std::string Target(int port) const;

 private:
  void Serve();
  std::string Answer(const std::string& query);

  int fd_ = -1;
  int stop_fd_ = -1;
  int port_ = 0;
  Mutex mutex_;
  std::vector<std::string> addresses_ LOWMARK_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_E2E_NAME_SERVER_H_
