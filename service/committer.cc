#include "service/committer.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "service/core/error.h"

namespace lowmark {

Committer::Committer(Store& store, Metrics& metrics, const CommitterOptions& options)
    : store_(store), metrics_(metrics), options_(options) {
  for (int i = 0; i < options_.committers; ++i) threads_.emplace_back([this] { Run(); });
}

Committer::~Committer() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  arrived_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

void Committer::Submit(const std::string& stream, ShardUpdate update, Done done) {
  bool full = false;
  bool notable = false;
  {
    MutexLock lock(mutex_);
    full = size_ >= options_.queue_limit || stopping_;
    if (!full) {
      Queue& queue = queues_[stream];
      Group& group = queue.waiting;
      if (group.updates.empty()) {
        queue.since = std::chrono::steady_clock::now();
        turns_.push_back(stream);
      }
      group.updates.push_back(std::move(update));
      group.done.push_back(std::move(done));
      ++size_;
      // Between these two nothing changes for a committer that waits.
      notable = group.updates.size() == 1 || group.updates.size() == options_.group_limit;
    }
  }
  if (full) {
    // NOLINTNEXTLINE(bugprone-use-after-move): moved only where there was room
    done(Unavailable("the coordinator has more reports than it can commit; retry with backoff"));
  } else if (notable) {
    arrived_.NotifyOne();
  }
}

bool Committer::IsDue(const Queue& queue, SteadyTime& due) const {
  if (queue.committing == 0 || stopping_ || queue.waiting.updates.size() >= options_.group_limit) {
    return true;
  }
  due = queue.since + absl::ToChronoNanoseconds(options_.patience);
  return due <= std::chrono::steady_clock::now();
}

Committer::Group Committer::TakeGroup(Queue& queue) const {
  Group& all = queue.waiting;
  if (all.updates.size() <= options_.group_limit) return std::exchange(all, Group());
  const auto limit = static_cast<std::ptrdiff_t>(options_.group_limit);
  Group group;
  group.updates.assign(std::make_move_iterator(all.updates.begin()),
                       std::make_move_iterator(all.updates.begin() + limit));
  group.done.assign(std::make_move_iterator(all.done.begin()),
                    std::make_move_iterator(all.done.begin() + limit));
  all.updates.erase(all.updates.begin(), all.updates.begin() + limit);
  all.done.erase(all.done.begin(), all.done.begin() + limit);
  return group;
}

bool Committer::Take(std::string& stream, Group& group) {
  MutexLock lock(mutex_);
  for (;;) {
    std::optional<SteadyTime> wake;
    for (auto turn = turns_.begin(); turn != turns_.end(); ++turn) {
      Queue& queue = queues_[*turn];
      SteadyTime due;
      if (!IsDue(queue, due)) {
        wake = wake ? std::min(*wake, due) : due;
        continue;
      }
      stream = *turn;
      turns_.erase(turn);
      group = TakeGroup(queue);
      ++queue.committing;
      size_ -= group.updates.size();
      if (!queue.waiting.updates.empty()) turns_.push_back(stream);
      // What is left is for the next committer, now or when it is due.
      if (!turns_.empty()) arrived_.NotifyOne();
      return true;
    }
    if (stopping_) return false;
    if (wake) {
      arrived_.WaitUntil(mutex_, *wake);
    } else {
      arrived_.Wait(mutex_);
    }
  }
}

void Committer::NoteCommitted(const std::string& stream) {
  bool more = false;
  {
    MutexLock lock(mutex_);
    auto found = queues_.find(stream);
    more = !found->second.waiting.updates.empty();
    if (--found->second.committing == 0 && !more) queues_.erase(found);
  }
  if (more) arrived_.NotifyOne();
}

void Committer::Run() {
  std::string stream;
  Group group;
  while (Take(stream, group)) {
    const SteadyTime start = std::chrono::steady_clock::now();
    const std::vector<absl::Status> statuses = store_.UpdateShards(stream, group.updates);
    metrics_.CountCommit(group.updates.size(),
                         absl::FromChrono(std::chrono::steady_clock::now() - start));
    // Before the answers, so that another committer can go on meanwhile.
    NoteCommitted(stream);
    for (size_t i = 0; i < group.done.size(); ++i) group.done[i](statuses[i]);
    group = Group();
  }
}

}  // namespace lowmark
