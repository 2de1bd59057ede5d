// Calls a function again and again, from a thread of its own.
#ifndef LOWMARK_SERVICE_PROCESS_TICKER_H_
#define LOWMARK_SERVICE_PROCESS_TICKER_H_

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

class Ticker {
 public:
  // The first time after `interval`, then that long after each call's end.
  Ticker(absl::Duration interval, std::function<void()> tick);
  // Waits for a call that is under way; afterwards there are no more.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run();

  const absl::Duration interval_;
  const std::function<void()> tick_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_TICKER_H_
