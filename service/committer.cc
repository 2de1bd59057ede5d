#include "service/committer.h"

#include <algorithm>
#include <iterator>
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
  {
    MutexLock lock(mutex_);
    full = size_ >= options_.queue_limit || stopping_;
    if (!full) {
      Group& group = waiting_[stream];
      if (group.updates.empty()) {
        group.stream = stream;
        turns_.push_back(stream);
      }
      group.updates.push_back(std::move(update));
      group.done.push_back(std::move(done));
      ++size_;
    }
  }
  if (full) {
    // NOLINTNEXTLINE(bugprone-use-after-move): moved only where there was room
    done(Unavailable("the coordinator has more reports than it can commit; retry with backoff"));
    return;
  }
  arrived_.NotifyOne();
}

bool Committer::Take(Group& group) {
  MutexLock lock(mutex_);
  while (turns_.empty() && !stopping_) arrived_.Wait(mutex_);
  if (turns_.empty()) return false;
  auto found = waiting_.find(turns_.front());
  turns_.pop_front();
  Group& all = found->second;
  if (all.updates.size() <= options_.group_limit) {
    group = std::move(all);
    waiting_.erase(found);
  } else {
    const auto limit = static_cast<std::ptrdiff_t>(options_.group_limit);
    group.stream = all.stream;
    group.updates.assign(std::make_move_iterator(all.updates.begin()),
                         std::make_move_iterator(all.updates.begin() + limit));
    group.done.assign(std::make_move_iterator(all.done.begin()),
                      std::make_move_iterator(all.done.begin() + limit));
    all.updates.erase(all.updates.begin(), all.updates.begin() + limit);
    all.done.erase(all.done.begin(), all.done.begin() + limit);
    turns_.push_back(all.stream);
  }
  size_ -= group.updates.size();
  return true;
}

void Committer::Run() {
  Group group;
  while (Take(group)) {
    const SteadyTime start = std::chrono::steady_clock::now();
    const std::vector<absl::Status> statuses = store_.UpdateShards(group.stream, group.updates);
    metrics_.CountCommit(group.updates.size(),
                         absl::FromChrono(std::chrono::steady_clock::now() - start));
    for (size_t i = 0; i < group.done.size(); ++i) group.done[i](statuses[i]);
    group = Group();
  }
}

}  // namespace lowmark
