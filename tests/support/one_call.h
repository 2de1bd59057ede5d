// Rounds of one worker, for tests that look at one at a time.
#ifndef LOWMARK_TESTS_SUPPORT_ONE_CALL_H_
#define LOWMARK_TESTS_SUPPORT_ONE_CALL_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/store.h"

namespace lowmark {

// A call with what it shares with others of its round.
struct OneCall : LeaseCall {
  std::string stream = "s";
  absl::Duration session_ttl = absl::Hours(10);
};

inline absl::StatusOr<LeaseGrant> LeaseOne(Store& store, const OneCall& call) {
  LeaseRound round;
  round.stream = call.stream;
  round.session_ttl = call.session_ttl;
  round.calls = {call};
  auto answers = store.LeaseShards(round);
  if (!answers.ok()) return answers.status();
  return std::move(answers->grants.at(0));
}

inline absl::StatusOr<SessionView> RenewOne(Store& store, const std::string& stream,
                                            const std::string& worker, absl::Duration ttl) {
  auto views = store.RenewSessions(stream, {Renewal{worker}}, ttl);
  if (!views.ok()) return views.status();
  return std::move(views->at(0));
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_ONE_CALL_H_
