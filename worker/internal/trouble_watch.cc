#include "worker/internal/trouble_watch.h"

#include "service/core/message.h"
#include "service/rpc/convert_stats.h"
#include "worker/internal/report.h"

namespace lowmark {

bool TroubleWatch::Note(bool passing, const std::string& message, SteadyTime now) {
  const bool first = !since_;
  const std::string before = WithoutNumbers(message_);
  if (first) since_ = now;
  passing_ = passing;
  message_ = Sanitize(message, kLongestTrouble, /*one_line=*/true);
  if (message_.empty()) message_ = "nobody says why";
  return first || WithoutNumbers(message_) != before;
}

bool TroubleWatch::End() {
  const bool ended = since_.has_value();
  since_.reset();
  return ended;
}

std::optional<Trouble> TroubleWatch::Get(SteadyTime now) const {
  if (!since_) return std::nullopt;
  const absl::Duration lasted = absl::FromChrono(now - *since_);
  if (passing_ && lasted < kPassing) return std::nullopt;
  return Trouble{kind_, message_, lasted};
}

}  // namespace lowmark
