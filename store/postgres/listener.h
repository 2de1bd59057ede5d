// Listens for hints about free shards, on a connection and a thread of its own.
#ifndef LOWMARK_STORE_POSTGRES_LISTENER_H_
#define LOWMARK_STORE_POSTGRES_LISTENER_H_

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "store/postgres/options.h"

namespace lowmark {

// The connection is opened again when it breaks; then `on_free("")` is called, as
// hints may have been missed. The destructor returns soon, unless the thread is
// connecting just then (PostgresOptions::connect_timeout); no call comes after it.
class Listener {
 public:
  Listener(const PostgresOptions& options, std::function<void(const std::string& stream)> on_free);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Whether hints arrive now.
  bool listening() const { return listening_; }

 private:
  void Run();
  // Until the listener stops, or the connection breaks (an exception).
  void Listen();
  // False when the listener is to stop. `fd` -1: just waits.
  bool Wait(int fd, absl::Duration timeout) const;

  const PostgresOptions options_;
  const std::function<void(const std::string& stream)> on_free_;
  std::atomic<bool> listening_ = false;
  int stop_fd_;  // an eventfd, readable when the thread is to stop
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_LISTENER_H_
