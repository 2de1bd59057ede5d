#include "tests/integration/dump.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lowmark {
namespace {

constexpr int32_t kAll = 100'000;

std::string Line(const Shard& shard) {
  const ShardState& state = shard.state;
  return absl::StrCat("shard ", shard.stream, "/", shard.shard, " epoch ", shard.epoch, " owner ",
                      shard.owner, " parents_left ", shard.parents_left, " ",
                      state.position.ToString(), " bounds ", absl::StrJoin(state.bounds, ","),
                      " batch ", state.batch_id, " delivery ", state.delivery, " attempts ",
                      state.attempts, " lost ", state.lost_deliveries, " not before ",
                      absl::ToUnixMicros(state.not_before), " outstanding ", state.outstanding,
                      " declared ", state.declared.has_value(), "\n");
}

void DumpStream(Store& store, const Stream& stream, std::string& out) {
  const std::string& name = stream.name;
  absl::StrAppend(&out, "stream ", name, " etag ", stream.etag, " batch ", stream.policy.batch_size,
                  " updated ", absl::ToUnixMicros(stream.update_time), "\n");
  const auto shards = store.ListShards(name, "", kAll);
  for (const ShardRecord& record : shards.value()) {
    absl::StrAppend(&out, Line(record.shard), " parents ", absl::StrJoin(record.parents, ","),
                    "\n");
  }
  const auto census = store.ReadCensus(name);
  for (const WorkerLoad& worker : census.value().workers) {
    absl::StrAppend(&out, "worker ", worker.worker, " capacity ", worker.capacity, " holds ",
                    worker.held, worker.cordoned ? " cordoned" : "",
                    worker.draining ? " draining" : "", "\n");
  }
  const auto letters = store.ListDeadLetters(name, "", 0, kAll);
  for (const DeadLetter& letter : letters.value()) {
    absl::StrAppend(&out, "dead letter ", letter.id, " ", letter.shard, " ", letter.range.first,
                    "..", letter.range.last, " ", absl::CHexEscape(letter.range.error_message),
                    "\n");
  }
  const auto events = store.ListEvents(name, "", 0, kAll);
  for (const ShardEvent& event : events.value()) {
    absl::StrAppend(&out, "event ", event.id, " ", event.shard, " ", event.kind, " ",
                    absl::CHexEscape(event.detail), "\n");
  }
}

}  // namespace

std::string Dump(Store& store) {
  std::string out;
  const auto streams = store.ListStreams("", kAll);
  for (const Stream& stream : streams.value()) DumpStream(store, stream, out);
  return out;
}

}  // namespace lowmark
