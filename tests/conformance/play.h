// Plays a case on a shard: the worker with its scripted source and handler, and
// whoever else does something to the shard.
#ifndef LOWMARK_TESTS_CONFORMANCE_PLAY_H_
#define LOWMARK_TESTS_CONFORMANCE_PLAY_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/conformance/case.h"
#include "tests/conformance/scripted_handler.h"
#include "tests/conformance/shard_under_test.h"

namespace lowmark::conformance {

// What was seen of a shard.
struct Seen {
  std::vector<std::vector<int>> deliveries;
  std::vector<int> batches;
  std::vector<bool> backoff;
  std::string checkpoint;
  std::vector<DeadLetterRange> dead_letters;
  absl::Status error;   // what the last op that can be answered got
  std::string trouble;  // why the play could not be played to its end
};

// Plays the case once. Never hangs: a play that does not end is stopped after a
// number of deliveries that no case should need, and that is its trouble.
Seen Play(const Case& c, Reading reading, ShardUnderTest& shard);

// The differences between what a case expects and what was seen, as
// "checkpoint: expected {after: 3}, seen {at: 2}"; empty where there are none.
std::string Differences(const Case& c, const Seen& seen);

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_PLAY_H_
