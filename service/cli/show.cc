#include "service/cli/show.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/cli/stream_fields.h"
#include "service/cli/table.h"
#include "service/cli/text.h"
#include "service/core/message.h"

namespace lowmark::cli {
namespace {

// Widths at which a table still fits a terminal.
constexpr size_t kTerminalWidth = 120;
constexpr size_t kIdWidth = 24;
constexpr size_t kSequenceWidth = 20;
constexpr size_t kShortSequenceWidth = 12;

template <typename Enum>
std::string EnumName(Enum value) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(value);
  if (descriptor == nullptr) return absl::StrCat(static_cast<int>(value));
  return EnumText(*descriptor);
}

void ShowPairs(const std::vector<std::pair<std::string, std::string>>& pairs, std::ostream& out) {
  size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, Width(name));
  for (const auto& [name, value] : pairs) {
    out << name << std::string(width - Width(name) + 2, ' ') << (value.empty() ? "-" : value)
        << "\n";
  }
}

std::string OnOff(bool on) { return on ? "on" : "off"; }

std::string Retries(int32_t attempts) { return attempts < 0 ? "forever" : absl::StrCat(attempts); }

std::string StreamState(const v1::StreamConfig& config) {
  if (config.paused()) return "paused";
  return config.frozen() ? "frozen" : "active";
}

// A position short enough for a table.
std::string ShortPosition(const v1::Position& position) {
  std::string text = PositionText(position);
  const size_t space = text.find(' ');
  if (space == std::string::npos) return text;
  return absl::StrCat(text.substr(0, space + 1),
                      ShortenedInside(text.substr(space + 1), kSequenceWidth));
}

// To the second.
std::string ShortTime(google::protobuf::Timestamp time) {
  time.set_nanos(0);
  return TimeText(time);
}

std::string ShortDuration(google::protobuf::Duration duration) {
  duration.set_nanos(0);
  return DurationText(duration);
}

// "1 shard", "3 shards".
std::string ShardCount(int64_t shards) {
  return absl::StrCat(shards, shards == 1 ? " shard" : " shards");
}

// "12s"; "" where it is not known.
std::string LagText(const v1::Shard& shard) {
  if (!shard.has_stat() || !shard.stat().has_lag_age()) return "";
  return ShortDuration(shard.stat().lag_age());
}

std::string BacklogText(const v1::Shard& shard) {
  return shard.stat().has_backlog() ? absl::StrCat(shard.stat().backlog()) : "";
}

// "source, for 2m5s: Access denied"; "" where there is none.
std::string TroubleText(const v1::Trouble& trouble) {
  if (trouble.message().empty()) return "";
  return absl::StrCat(EnumName(trouble.kind()), ", for ", ShortDuration(trouble.lasted()), ": ",
                      Safe(trouble.message()));
}

// A line for each trouble, with the shards that have it.
void ShowTroubles(const v1::ListShardsResponse& shards, std::ostream& out) {
  std::vector<std::pair<const v1::Shard*, int>> troubles;  // its first shard, how many more
  for (const v1::Shard& shard : shards.shards()) {
    if (!shard.stat().has_trouble()) continue;
    const v1::Trouble& trouble = shard.stat().trouble();
    const auto same = std::find_if(troubles.begin(), troubles.end(), [&](const auto& other) {
      const v1::Trouble& before = other.first->stat().trouble();
      return before.kind() == trouble.kind() &&
             WithoutNumbers(before.message()) == WithoutNumbers(trouble.message());
    });
    if (same == troubles.end()) {
      troubles.emplace_back(&shard, 0);
    } else {
      ++same->second;
    }
  }
  for (const auto& [shard, more] : troubles) {
    out << "Trouble in " << Safe(shard->shard());
    if (more > 0) out << " and " << more << " more";
    out << " with the " << TroubleText(shard->stat().trouble()) << "\n";
  }
}

std::string WorkerState(const v1::Worker& worker) {
  const bool on_trial = worker.status() == v1::WORKER_STATUS_LIVE && worker.probation();
  return on_trial ? "probation" : EnumName(worker.status());
}

// "lowmark workers VERB STREAM WORKER".
std::string WorkerCommand(const char* verb, const v1::Worker& worker) {
  return absl::StrCat("`lowmark workers ", verb, " ", Safe(worker.stream()), " ",
                      Safe(worker.worker()), "`");
}

std::string Sequences(const v1::DeadLetter& letter) {
  const std::string first = ShortenedInside(letter.first_sequence(), kShortSequenceWidth);
  const std::string last = ShortenedInside(letter.last_sequence(), kShortSequenceWidth);
  return letter.first_sequence() == letter.last_sequence() ? first
                                                           : absl::StrCat(first, "..", last);
}

// "retries exhausted" and so on, in the words of the policy.
std::string Why(v1::DeadLetterCondition condition) {
  switch (condition) {
    case v1::DEAD_LETTER_CONDITION_RETRY_ATTEMPTS_EXHAUSTED:
      return "retries exhausted";
    case v1::DEAD_LETTER_CONDITION_RECORD_AGE_EXCEEDED:
      return "too old";
    case v1::DEAD_LETTER_CONDITION_RECORD_TOO_LARGE:
      return "too large";
    case v1::DEAD_LETTER_CONDITION_RECORD_UNREADABLE:
      return "unreadable";
    default:
      return EnumName(condition);
  }
}

std::string ErrorText(const v1::DeadLetter& letter) {
  if (letter.error_type().empty()) return letter.error_message();
  if (letter.error_message().empty()) return letter.error_type();
  return absl::StrCat(letter.error_type(), ": ", letter.error_message());
}

// "sent", "waiting" or, where a try failed, "3 tries"; "" where there is nowhere to send it.
std::string ForwardingState(const v1::DeadLetter& letter) {
  if (!letter.has_forwarding()) return "";
  const v1::DeadLetterForwarding& forwarding = letter.forwarding();
  if (forwarding.has_forward_time()) return "sent";
  if (forwarding.tries() == 0) return "waiting";
  return absl::StrCat(forwarding.tries(), forwarding.tries() == 1 ? " try" : " tries");
}

// The lines about a letter's way to its destination.
std::vector<std::pair<std::string, std::string>> ForwardingPairs(const v1::DeadLetter& letter) {
  if (!letter.has_forwarding()) return {};
  const v1::DeadLetterForwarding& forwarding = letter.forwarding();
  if (forwarding.has_forward_time()) return {{"sent", TimeText(forwarding.forward_time())}};
  return {{"sent", "not yet"},
          {"tries to send", absl::StrCat(forwarding.tries())},
          {"last try", Safe(forwarding.error())},
          {"next try", TimeText(forwarding.next_try_time())}};
}

void ShowRecord(const v1::RecordData& record, std::ostream& out) {
  out << "\n" << Safe(record.sequence());
  if (!record.partition_key().empty()) out << "  key " << Safe(record.partition_key());
  if (record.has_arrival_time()) out << "  arrived " << TimeText(record.arrival_time());
  out << "  " << SizeText(record.data().size());
  for (const v1::RecordHeader& header : record.headers()) {
    out << "\n  header " << Safe(header.name()) << ": " << Safe(header.value());
  }
  if (IsPrintable(record.data())) {
    out << "\n";
    for (const auto line : absl::StrSplit(record.data(), '\n')) out << "  " << line << "\n";
  } else {
    out << ", in base64\n  " << absl::Base64Escape(record.data()) << "\n";
  }
}

}  // namespace

void ShowStreams(const v1::ListStreamsResponse& streams, std::ostream& out) {
  Table table({"STREAM", "STATE", ">BATCH", ">RETRIES", "ITEM FAILURES", "BISECT", "SETS ASIDE",
               ">MAX AGE", "CREATED"});
  for (const v1::Stream& stream : streams.streams()) {
    const v1::StreamConfig& config = stream.config();
    table.AddRow(
        {Safe(stream.name()), StreamState(config), absl::StrCat(config.batch_size()),
         Retries(config.maximum_retry_attempts()), OnOff(config.report_batch_item_failures()),
         OnOff(config.bisect_batch_on_failure()), EnumName(config.discard_scope()),
         config.maximum_record_age().seconds() < 0 ? "none"
                                                   : DurationText(config.maximum_record_age()),
         ShortTime(stream.create_time())});
  }
  table.Print(out);
  for (const v1::Stream& stream : streams.streams()) {
    if (!stream.has_trouble()) continue;
    out << "Trouble in " << Safe(stream.name()) << " with the " << TroubleText(stream.trouble())
        << "\n";
  }
}

void ShowStream(const v1::Stream& stream, std::ostream& out) {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"stream", Safe(stream.name())},
      {"etag", Safe(stream.etag())},
      {"created", TimeText(stream.create_time())},
      {"updated", TimeText(stream.update_time())}};
  if (stream.has_trouble()) pairs.emplace_back("trouble", TroubleText(stream.trouble()));
  for (auto& field : Fields(stream.config())) pairs.push_back(std::move(field));
  ShowPairs(pairs, out);
}

void ShowShards(const v1::ListShardsResponse& shards, std::ostream& out) {
  Table table({"SHARD", "STATUS", "OWNER", ">EPOCH", "CHECKPOINT", ">DELIVERY", ">ATTEMPTS",
               ">LOST", ">LAG"});
  for (const v1::Shard& shard : shards.shards()) {
    table.AddRow({Safe(shard.shard()), EnumName(shard.status()),
                  ShortenedInside(shard.owner(), kIdWidth), absl::StrCat(shard.epoch()),
                  ShortPosition(shard.checkpoint()), absl::StrCat(shard.delivery()),
                  absl::StrCat(shard.attempts()), absl::StrCat(shard.lost_deliveries()),
                  LagText(shard)});
  }
  table.Print(out);
  ShowTroubles(shards, out);
  if (shards.has_trouble()) {
    out << "New shards cannot be found, trouble with the " << TroubleText(shards.trouble()) << "\n";
  }
}

std::string WhyNoShards(const std::string& stream, const v1::ListShardsResponse& shards) {
  const std::string of = absl::StrCat("shards in ", Safe(stream));
  if (!shards.has_trouble()) return absl::StrCat(of, "; a worker adds those its source has");
  return absl::StrCat(of, ": trouble with the ", TroubleText(shards.trouble()));
}

void ShowShard(const v1::Shard& shard, std::ostream& out) {
  const bool fresh = shard.cause() == v1::REDELIVERY_CAUSE_UNSPECIFIED;
  ShowPairs({{"stream", Safe(shard.stream())},
             {"shard", Safe(shard.shard())},
             {"status", EnumName(shard.status())},
             {"owner", Safe(shard.owner())},
             {"epoch", absl::StrCat(shard.epoch())},
             {"checkpoint", PositionText(shard.checkpoint())},
             {"batch ends at", Safe(shard.end_sequence())},
             {"delivery", absl::StrCat(shard.delivery())},
             {"attempts", absl::StrCat(shard.attempts())},
             {"lost deliveries", absl::StrCat(shard.lost_deliveries())},
             {"redelivered for", fresh ? "" : EnumName(shard.cause())},
             {"not before", TimeText(shard.not_before())},
             {"parents", Safe(absl::StrJoin(shard.parents(), ", "))},
             {"parents left", absl::StrCat(shard.parents_left())},
             {"lag", LagText(shard)},
             {"backlog", BacklogText(shard)},
             {"trouble", TroubleText(shard.stat().trouble())}},
            out);
}

void ShowSeek(const v1::SeekShardResponse& seek, bool dry_run, std::ostream& out) {
  Table table({"", "CHECKPOINT", "STATUS", "OWNER", ">EPOCH"});
  const auto row = [&](const char* when, const v1::Shard& shard) {
    table.AddRow({when, PositionText(shard.checkpoint()), EnumName(shard.status()),
                  Safe(shard.owner()), absl::StrCat(shard.epoch())});
  };
  row("before", seek.before());
  row(dry_run ? "would be" : "now", seek.after());
  table.Print(out);
}

void ShowWorkers(const v1::ListWorkersResponse& workers, std::ostream& out) {
  Table table({"WORKER", "STATUS", ">SHARDS", ">WANTS", ">CAPACITY", "SINCE", ">EXPIRES IN"});
  for (const v1::Worker& worker : workers.workers()) {
    table.AddRow({Safe(worker.worker()), WorkerState(worker), absl::StrCat(worker.held_shards()),
                  absl::StrCat(worker.wanted_shards()), absl::StrCat(worker.capacity()),
                  ShortTime(worker.open_time()),
                  worker.has_expires_in() ? ShortDuration(worker.expires_in()) : ""});
  }
  table.Print(out);
}

void ShowCordon(const v1::Worker& worker, std::ostream& out) {
  out << Safe(worker.worker()) << " gets no more shards, until "
      << WorkerCommand("uncordon", worker) << ".\n";
  if (worker.status() == v1::WORKER_STATUS_DRAINING) {
    out << "It is being drained of the " << ShardCount(worker.held_shards()) << " it holds.\n";
  } else if (worker.held_shards() > 0) {
    out << "It goes on with the " << ShardCount(worker.held_shards()) << " it holds; "
        << WorkerCommand("drain", worker) << " moves them.\n";
  }
}

void ShowUncordon(const v1::Worker& worker, std::ostream& out) {
  out << Safe(worker.worker()) << " gets its share of shards again; it holds "
      << ShardCount(worker.held_shards()) << " now.\n";
}

void ShowDrain(const v1::Worker& worker, const v1::StreamConfig& config, std::ostream& out) {
  out << Safe(worker.worker()) << " gets no more shards, until "
      << WorkerCommand("uncordon", worker) << ".\n";
  if (worker.held_shards() == 0) {
    out << "It holds none that it would have to hand over.\n";
    return;
  }
  if (config.frozen()) {
    out << "It keeps the " << ShardCount(worker.held_shards())
        << " it holds while the stream is frozen: `lowmark streams update " << Safe(worker.stream())
        << " --set frozen=false` lets them move.\n";
    return;
  }
  out << "It has " << ShardCount(worker.held_shards())
      << " to hand over, each once its batch is reported; one that it keeps "
      << DurationText(config.handoff_timeout()) << " after it was asked\nis taken. "
      << "`lowmark workers list " << Safe(worker.stream())
      << "` shows what is left, and `drained` in the end.\n";
}

void ShowDeadLetters(const v1::ListDeadLettersResponse& letters, std::ostream& out) {
  const bool forwards =
      std::any_of(letters.dead_letters().begin(), letters.dead_letters().end(),
                  [](const v1::DeadLetter& letter) { return letter.has_forwarding(); });
  std::vector<std::string> columns = {"ID",       "SET ASIDE AT", "SHARD", "SEQUENCES",
                                      ">RECORDS", "WHY",          ">TRIES"};
  if (forwards) columns.emplace_back("SENT");
  columns.emplace_back("ERROR");
  Table table(columns);
  for (const v1::DeadLetter& letter : letters.dead_letters()) {
    std::vector<std::string> row = {Safe(letter.id()),
                                    ShortTime(letter.create_time()),
                                    ShortenedInside(letter.shard(), kIdWidth),
                                    Sequences(letter),
                                    absl::StrCat(letter.record_count()),
                                    Why(letter.condition()),
                                    absl::StrCat(letter.attempts())};
    if (forwards) row.push_back(ForwardingState(letter));
    row.push_back(Safe(ErrorText(letter)));
    table.AddRow(std::move(row));
  }
  table.Print(out, kTerminalWidth);
}

void ShowDeadLetter(const v1::DeadLetter& letter, std::ostream& out) {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"dead letter", Safe(letter.id())},
      {"stream", Safe(letter.stream())},
      {"shard", Safe(letter.shard())},
      {"first sequence", Safe(letter.first_sequence())},
      {"last sequence", Safe(letter.last_sequence())},
      {"records", absl::StrCat(letter.record_count())},
      {"why", Why(letter.condition())},
      {"tries", absl::StrCat(letter.attempts())},
      {"error type", Safe(letter.error_type())},
      {"error message", Safe(letter.error_message())},
      {"set aside at", TimeText(letter.create_time())},
      {"by worker", Safe(letter.worker())},
      {"epoch", absl::StrCat(letter.epoch())},
      {"delivery", absl::StrCat(letter.delivery())}};
  for (auto& pair : ForwardingPairs(letter)) pairs.push_back(std::move(pair));
  ShowPairs(pairs, out);
  for (const v1::RecordData& record : letter.records()) ShowRecord(record, out);
  if (const int missing = letter.record_count() - letter.records_size(); missing > 0) {
    out << "\nThe data of " << missing << (missing == 1 ? " record" : " records")
        << " was not kept; the source may still have it.\n";
  }
}

void ShowJson(const google::protobuf::Message& message, std::ostream& out) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails only for an Any of a type that is not linked; there is none.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  out << json;
}

}  // namespace lowmark::cli
