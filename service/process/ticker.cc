#include "service/process/ticker.h"

#include <utility>

namespace lowmark {

Ticker::Ticker(absl::Duration interval, std::function<void()> tick)
    : interval_(interval), tick_(std::move(tick)) {
  thread_ = std::thread([this] { Run(); });
}

Ticker::~Ticker() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopped_.NotifyAll();
  thread_.join();
}

void Ticker::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      const SteadyTime next = SteadyDeadline(interval_);
      while (!stopping_ && stopped_.WaitUntil(mutex_, next)) {
      }
      if (stopping_) return;
    }
    tick_();
  }
}

}  // namespace lowmark
