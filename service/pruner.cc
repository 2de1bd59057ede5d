#include "service/pruner.h"

#include <utility>

namespace lowmark {
namespace {

constexpr int32_t kPage = 100;

}  // namespace

Pruner::Pruner(Store& store, Metrics& metrics, const PrunerOptions& options, Prune prune)
    : store_(store), metrics_(metrics), options_(options), prune_(std::move(prune)) {
  thread_ = std::thread([this] { Run(); });
}

Pruner::~Pruner() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopped_.NotifyAll();
  thread_.join();
}

void Pruner::Run() {
  do {
    PruneAll();
  } while (!Stopped(options_.interval));
}

void Pruner::PruneAll() {
  std::string after;
  while (!Stopped()) {
    const auto page = store_.ListStreams(after, kPage);
    metrics_.CountStoreError(options_.operation, page.status());
    if (!page.ok() || page->empty()) return;
    for (const Stream& stream : *page) PruneStream(stream.name);
    after = page->back().name;
  }
}

void Pruner::PruneStream(const std::string& stream) {
  while (!Stopped()) {
    const auto pruned = prune_(stream, options_.batch);
    metrics_.CountStoreError(options_.operation, pruned.status());
    if (!pruned.ok() || *pruned < options_.batch) return;
  }
}

bool Pruner::Stopped(absl::Duration wait) {
  const SteadyTime until = SteadyDeadline(wait);
  MutexLock lock(mutex_);
  while (!stopping_ && stopped_.WaitUntil(mutex_, until)) {
  }
  return stopping_;
}

}  // namespace lowmark
