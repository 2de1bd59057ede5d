// Destinations that answer as a test says, and remember what they were sent.
#ifndef LOWMARK_TESTS_SERVICE_ON_FAILURE_FAKE_DESTINATION_H_
#define LOWMARK_TESTS_SERVICE_ON_FAILURE_FAKE_DESTINATION_H_

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "service/on_failure/destination.h"
#include "service/process/mutex.h"

namespace lowmark {

// What all destinations of a test have in common. They are told apart by their
// directory's path. Thread-safe.
class FakeNetwork {
 public:
  // Every document is answered so, from now on.
  void Answer(const std::string& path, const absl::Status& status) {
    Change([&] { answers_[path] = status; });
  }
  // This one document is answered so.
  void AnswerFor(const std::string& key, const absl::Status& status) {
    Change([&] { answers_for_[key] = status; });
  }
  // A Send to it returns only after Release, or when it is stopped.
  void Hold(const std::string& path) {
    Change([&] { held_.insert(path); });
  }
  void Release(const std::string& path) {
    Change([&] { held_.erase(path); });
  }
  // Destinations cannot be made.
  void RefuseToMake(const absl::Status& status) {
    Change([&] { make_ = status; });
  }

  // Whether the condition came true in time, also where it is about something else.
  template <typename Condition>
  bool Await(Condition condition, absl::Duration timeout = absl::Seconds(30)) {
    const SteadyTime deadline = SteadyDeadline(timeout);
    MutexLock lock(mutex_);
    while (!condition()) {
      if (SteadyDeadline(absl::ZeroDuration()) >= deadline) return false;
      changed_.WaitFor(mutex_, absl::Milliseconds(5));
    }
    return true;
  }
  // For conditions, which are called with the lock held, and for the time after all:
  // documents that were taken, those that were tried, Sends that wait; all by path.
  const std::vector<std::string>& taken(const std::string& path) { return taken_[path]; }
  int tries(const std::string& path) { return tries_[path]; }
  int waiting(const std::string& path) { return waiting_[path]; }
  int made() const { return made_; }
  size_t largest_send() const { return largest_send_; }

  MakeDestination Maker() {
    return [this](const OnFailure& on_failure) { return Make(on_failure); };
  }

 private:
  class Fake : public Destination {
   public:
    Fake(FakeNetwork& network, std::string path) : network_(network), path_(std::move(path)) {}
    std::vector<absl::Status> Send(const std::vector<Document>& documents,
                                   absl::Duration) override {
      return network_.Send(path_, documents, stop());
    }

   private:
    FakeNetwork& network_;
    const std::string path_;
  };

  // A copy that shares nothing: ThreadSanitizer does not see how Debian's Abseil counts
  // who shares a status, and takes its end in another thread for a race.
  static absl::Status OfItsOwn(const absl::Status& status) {
    return {status.code(), status.message()};
  }

  template <typename Run>
  void Change(Run run) {
    {
      MutexLock lock(mutex_);
      run();
    }
    changed_.NotifyAll();
  }

  absl::StatusOr<std::unique_ptr<Destination>> Make(const OnFailure& on_failure) {
    MutexLock lock(mutex_);
    if (!make_.ok()) return make_;
    ++made_;
    return std::make_unique<Fake>(*this,
                                  std::get<OnFailure::Directory>(on_failure.destination).path);
  }

  std::vector<absl::Status> Send(const std::string& path, const std::vector<Document>& documents,
                                 const StopSignal& stop) {
    std::vector<absl::Status> answers;
    {
      MutexLock lock(mutex_);
      largest_send_ = std::max(largest_send_, documents.size());
      ++waiting_[path];
      changed_.NotifyAll();
      while (held_.contains(path) && !stop.over()) {
        changed_.WaitFor(mutex_, absl::Milliseconds(5));
      }
      --waiting_[path];
      for (const Document& document : documents) {
        if (stop.stopping()) break;
        ++tries_[path];
        auto special = answers_for_.find(document.key);
        answers.push_back(
            OfItsOwn(special == answers_for_.end() ? answers_[path] : special->second));
        if (answers.back().ok()) taken_[path].push_back(document.key);
        if (absl::IsUnavailable(answers.back())) break;
      }
    }
    changed_.NotifyAll();
    answers.resize(documents.size(), absl::CancelledError("not tried"));
    return answers;
  }

  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, absl::Status> answers_;
  std::map<std::string, absl::Status> answers_for_;
  std::set<std::string> held_;
  absl::Status make_;
  std::map<std::string, std::vector<std::string>> taken_;
  std::map<std::string, int> tries_;
  std::map<std::string, int> waiting_;
  int made_ = 0;
  size_t largest_send_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SERVICE_ON_FAILURE_FAKE_DESTINATION_H_
