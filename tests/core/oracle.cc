#include "tests/core/oracle.h"

#include <algorithm>
#include <vector>

namespace lowmark {
namespace {

using Records = std::vector<int>;

std::string At(int record) { return "AT " + std::to_string(record); }
std::string After(int record) { return "AFTER " + std::to_string(record); }

// The place in the batch of the lowest failed record; -1 where that is not known
// because the batch failed as a whole.
int LowestFailed(const Records& batch, const Answer& answer) {
  if (answer.kind != Answer::Kind::kReport) return -1;
  int lowest = -1;
  for (int failed : answer.failed) {
    const auto found = std::find(batch.begin(), batch.end(), failed);
    if (found == batch.end()) return -1;
    const int place = static_cast<int>(found - batch.begin());
    lowest = lowest < 0 ? place : std::min(lowest, place);
  }
  return lowest;
}

}  // namespace

Play Oracle(const Policy& policy, int records, const ScriptedHandler& handler, int limit) {
  Play play;
  std::vector<Records> waiting;  // cut off from batches, the next one last
  int next_fresh = 1;
  int batch_number = 0;
  while (!waiting.empty() || next_fresh <= records) {
    Records batch;
    if (!waiting.empty()) {
      batch = waiting.back();
      waiting.pop_back();
    } else {
      while (next_fresh <= records && static_cast<int>(batch.size()) < policy.batch_size) {
        batch.push_back(next_fresh++);
      }
    }
    ++batch_number;
    int failures = 0;
    int lost = 0;
    int times = 0;
    bool backoff = false;
    for (bool over = false; !over;) {
      if (static_cast<int>(play.deliveries.size()) == limit) {
        play.drained = false;
        return play;
      }
      const std::string before = play.deliveries.empty() ? "" : play.deliveries.back().checkpoint;
      play.deliveries.push_back({batch, batch_number, backoff, lost > 0, ""});
      std::string& checkpoint = play.deliveries.back().checkpoint;
      ++times;
      const Answer answer = handler(batch);
      backoff = false;
      if (answer.kind == Answer::Kind::kDie) {
        ++lost;
        const bool too_often =
            policy.maximum_lost_deliveries != -1 && lost > policy.maximum_lost_deliveries;
        // A declared batch is known, so the checkpoint can be its first record.
        checkpoint = lost > 1 ? At(batch.front()) : before;
        if (!too_often) continue;
      }
      const bool ignored =
          answer.kind == Answer::Kind::kReport && !policy.report_batch_item_failures;
      const bool nothing_failed = answer.kind == Answer::Kind::kReport && answer.failed.empty();
      if (answer.kind == Answer::Kind::kSuccess || ignored || nothing_failed) {
        checkpoint = After(batch.back());
        break;
      }
      const int lowest = LowestFailed(batch, answer);
      const int size = static_cast<int>(batch.size());
      if (lowest > 0) {
        checkpoint = At(batch[lowest]);
        waiting.emplace_back(batch.begin() + lowest, batch.end());
        break;
      }
      checkpoint = At(batch.front());
      if (policy.bisect_batch_on_failure && size > 1) {
        const int cut = lowest == 0 ? 1 : (size + 1) / 2;
        waiting.emplace_back(batch.begin() + cut, batch.end());
        waiting.emplace_back(batch.begin(), batch.begin() + cut);
        break;
      }
      ++failures;
      if (policy.maximum_retry_attempts == -1 || failures <= policy.maximum_retry_attempts) {
        backoff = true;
        continue;
      }
      const bool known = lowest == 0 || size == 1;
      const int gone = known && policy.discard_scope == DiscardScope::kRecord ? 1 : size;
      play.dead_letters.push_back({batch.front(), batch[gone - 1], gone, times});
      checkpoint = After(batch[gone - 1]);
      if (gone < size) waiting.emplace_back(batch.begin() + gone, batch.end());
      over = true;
    }
  }
  return play;
}

}  // namespace lowmark
