// ShardRun: what it tells of itself.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/internal/shard_run.h"

namespace lowmark {

absl::Duration ShardRun::lag_age(absl::Time now) const {
  return std::max(absl::ZeroDuration(), now - reading_->oldest().value_or(now));
}

std::optional<ShardStat> ShardRun::stat(absl::Time now, SteadyTime steady) const {
  ShardStat stat;
  stat.trouble = reading_->trouble(steady);
  if (!stat.trouble) stat.trouble = handler_trouble_.Get(steady);
  if (reading_->known()) {
    stat.lag_age = lag_age(now);
    stat.backlog = reading_->backlog();
    stat.idle = !stat.trouble && reading_->idle(steady);
  } else if (!stat.trouble) {
    return std::nullopt;
  }
  return stat;
}

bool ShardRun::NoteHandler(const HandlerResult& result) {
  if (result.kind != HandlerResult::Kind::kNotRun) {
    not_runs_ = 0;
    handler_trouble_.End();
    return true;
  }
  ++not_runs_;
  return handler_trouble_.Note(/*passing=*/true,
                               absl::StrCat(result.error_type, ": ", result.error_message),
                               std::chrono::steady_clock::now());
}

}  // namespace lowmark
