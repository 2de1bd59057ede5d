#include "service/core/shard_stat.h"

#include <algorithm>

namespace lowmark {
namespace {

// Below these, numbers of busy shards come and go.
constexpr absl::Duration kSmallLag = absl::Seconds(5);
constexpr int64_t kSmallBacklog = 100;

template <typename Number>
bool HasMoved(const std::optional<Number>& from, const std::optional<Number>& to, Number small) {
  if (!from || !to) return from.has_value() != to.has_value();
  const Number less = std::min(*from, *to);
  // Not twice the lesser one: that may be more than there is.
  const Number between = std::max(*from, *to) - less;
  return between >= less && between >= small;
}

bool SameTrouble(const std::optional<Trouble>& a, const std::optional<Trouble>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->kind == b->kind && a->message == b->message;
}

}  // namespace

bool IsNews(const ShardStat& told, const ShardStat& now) {
  return told.idle != now.idle || !SameTrouble(told.trouble, now.trouble) ||
         HasMoved(told.lag_age, now.lag_age, kSmallLag) ||
         HasMoved(told.backlog, now.backlog, kSmallBacklog);
}

}  // namespace lowmark
