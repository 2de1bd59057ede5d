// A worker against a fake coordinator, with a source and a handler in memory.
#ifndef LOWMARK_TESTS_WORKER_RUNNER_FIXTURE_H_
#define LOWMARK_TESTS_WORKER_RUNNER_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/worker/fake_coordinator.h"
#include "tests/worker/scripted_source.h"
#include "worker/handler/function.h"
#include "worker/worker.h"

namespace lowmark {

class RunnerTest : public testing::Test {
 protected:
  static Policy FastPolicy() {
    Policy policy;
    policy.batch_size = 10;
    policy.retry_backoff.initial = absl::Milliseconds(1);
    policy.retry_backoff.maximum = absl::Milliseconds(5);
    return policy;
  }

  ~RunnerTest() override {
    if (thread_.joinable()) StopWorker().IgnoreError();
  }

  void StartCoordinator(const Policy& policy = FastPolicy(),
                        absl::Duration ttl = absl::Seconds(30)) {
    coordinator_.emplace(policy, ttl);
  }

  // What handles batches: gets those that were seen before as well.
  using Function = std::function<HandlerResult(const Batch&)>;

  void StartWorker(
      Function function = [](const Batch&) { return HandlerResult::Success(); },
      const std::function<void(WorkerOptions&)>& change = [](WorkerOptions&) {}) {
    WorkerOptions options;
    options.coordinator = coordinator_->address();
    options.stream = "s";
    options.threads = 4;
    options.poll_interval = absl::Milliseconds(5);
    options.retry_initial = absl::Milliseconds(1);
    options.retry_maximum = absl::Milliseconds(20);
    options.sync_interval = absl::Milliseconds(10);
    options.call_timeout = absl::Seconds(2);
    change(options);
    auto handler = std::make_shared<FunctionHandler>([this, function](const Batch& batch) {
      {
        MutexLock lock(mutex_);
        batches_.push_back(batch);
      }
      return function(batch);
    });
    auto worker = Worker::Create(options, source_, handler);
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    thread_ = std::thread([this] { end_ = worker_->Run(); });
  }

  absl::Status StopWorker() {
    worker_->Stop();
    thread_.join();
    return end_;
  }

  std::vector<Batch> batches() {
    MutexLock lock(mutex_);
    return batches_;
  }
  // The records of each batch that the handler got, as "1-4".
  std::vector<std::string> deliveries() {
    std::vector<std::string> all;
    for (const Batch& batch : batches()) {
      const std::string& first = batch.records.front().sequence;
      const std::string& last = batch.records.back().sequence;
      all.push_back(first == last ? first : first + "-" + last);
    }
    return all;
  }

  bool AwaitAfter(const std::string& shard, int sequence) {
    return coordinator_->Await(
        [&] { return coordinator_->Reached(shard, Position::After(std::to_string(sequence))); });
  }

  // The value of a metric whose line starts with this.
  double Metric(const std::string& start) {
    const std::string text = "\n" + worker_->Metrics();
    const size_t at = text.find("\n" + start);
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(text.find(' ', at + start.size())));
  }

  std::optional<FakeCoordinator> coordinator_;
  std::shared_ptr<ScriptedSource> source_ = std::make_shared<ScriptedSource>();
  std::unique_ptr<Worker> worker_;
  std::thread thread_;
  absl::Status end_;
  Mutex mutex_;
  std::vector<Batch> batches_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_RUNNER_FIXTURE_H_
