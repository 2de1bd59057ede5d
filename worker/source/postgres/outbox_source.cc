#include "worker/source/postgres/outbox_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "worker/source/postgres/outbox_database.h"
#include "worker/source/postgres/outbox_reader.h"

namespace lowmark {
namespace {

std::string ShardName(int32_t shard, int32_t shards) { return absl::StrCat(shard, "-of-", shards); }

}  // namespace

OutboxSource::OutboxSource(std::shared_ptr<OutboxDatabase> database)
    : database_(std::move(database)) {}

OutboxSource::~OutboxSource() = default;

absl::StatusOr<std::shared_ptr<OutboxSource>> OutboxSource::Create(
    const OutboxSourceOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  PostgresOptions postgres;
  postgres.connection = options.url;
  if (auto s = postgres.Validate(); !s.ok()) {
    // The string may hold a password: it is not repeated.
    return InvalidField("outbox-url", "...", s.message());
  }
  return std::shared_ptr<OutboxSource>(new OutboxSource(std::make_shared<OutboxDatabase>(options)));
}

absl::StatusOr<std::vector<ListedShard>> OutboxSource::ListShards() {
  if (auto s = database_->Check(); !s.ok()) return s;
  const int32_t shards = database_->options().shards;
  std::vector<ListedShard> listed;
  for (int32_t i = 0; i < shards; ++i) listed.push_back({ShardName(i, shards), {}});
  return listed;
}

absl::StatusOr<Position> OutboxSource::ResolveLatest(const std::string&) {
  const auto horizon = database_->Horizon();
  if (!horizon.ok()) return horizon.status();
  return Position::At(OutboxPlace{*horizon, 0}.Sequence());
}

absl::StatusOr<std::unique_ptr<ShardReader>> OutboxSource::Open(const std::string& shard,
                                                                const Position& from) {
  const int32_t shards = database_->options().shards;
  for (int32_t i = 0; i < shards; ++i) {
    if (shard == ShardName(i, shards)) return OutboxReader::Make(database_, i, from);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("shard ", shard, " is none of the ", shards,
                   " that --outbox-shards makes; another number of shards needs a new stream, see "
                   "\"Another number of shards\" in docs/outbox.md"));
}

}  // namespace lowmark
