#include "worker/internal/report.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "service/rpc/convert.h"
#include "service/rpc/message_size.h"

namespace lowmark {
namespace {

constexpr size_t kMaxTypeBytes = 256;
constexpr size_t kMaxMessageBytes = 8192;
constexpr size_t kMaxKeyBytes = size_t{64} << 10;
// What a record, or a header, adds to a report beside its strings, at most.
constexpr size_t kRecordOverhead = 64;

// The length of the UTF-8 character at the front; 0 where there is no valid one.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  // Overlong forms, surrogates, and what is beyond Unicode.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) ||
      (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

void SetRange(const Records& records, v1::ReportBatchRequest* report) {
  report->set_first_sequence(records.front()->record.sequence);
  report->set_last_sequence(records.back()->record.sequence);
  report->set_record_count(static_cast<int32_t>(records.size()));
}

template <typename Message>
void AddSequences(const Records& records, Message* message) {
  message->mutable_sequences()->Reserve(static_cast<int>(records.size()));
  for (const SourceRecord* record : records) message->add_sequences(record->record.sequence);
}

size_t HeaderBytes(const Record& record) {
  size_t bytes = 0;
  for (const auto& [name, value] : record.headers) bytes += name.size() + value.size();
  return bytes;
}

// Adds the data of the first `count` records, leaving out what does not fit
// beside what the report holds already. Returns how many were left out: none of a
// batch within the policy's limits, unless its keys are huge.
int32_t AddData(const Records& records, size_t count, size_t used,
                google::protobuf::RepeatedPtrField<v1::RecordData>* data) {
  int32_t left_out = 0;
  for (size_t i = 0; i < count; ++i) {
    const Record& record = records[i]->record;
    const size_t headers = HeaderBytes(record);
    const size_t bytes = record.sequence.size() + record.partition_key.size() + record.data.size() +
                         headers + kRecordOverhead * (1 + record.headers.size());
    if (used + bytes > kMaxReportBytes || record.partition_key.size() > kMaxKeyBytes ||
        record.headers.size() > kMostHeaders || headers > kLongestHeaders) {
      ++left_out;
      continue;
    }
    used += bytes;
    ToProto(record, data->Add());
  }
  return left_out;
}

// The records of the batch that are known to have failed; empty where that is
// not known, as after a raise or where one that is not in the batch is named.
std::set<size_t> KnownFailed(const Records& records, const HandlerResult& result) {
  if (result.kind != HandlerResult::Kind::kFailed) return {};
  std::unordered_map<absl::string_view, size_t, absl::Hash<absl::string_view>> index;
  for (size_t i = 0; i < records.size(); ++i) index.emplace(records[i]->record.sequence, i);
  std::set<size_t> known;
  for (const std::string& failed : result.failed) {
    auto found = index.find(failed);
    if (found == index.end()) return {};
    known.insert(found->second);
  }
  return known;
}

int32_t SetFailure(const Records& records, const HandlerResult& result, const Policy& policy,
                   bool final_attempt, v1::ReportBatchRequest* report) {
  SetRange(records, report);
  v1::BatchFailure* failure = report->mutable_failure();
  AddSequences(records, failure);
  failure->set_error_type(Sanitize(result.error_type, kMaxTypeBytes, /*one_line=*/true));
  failure->set_error_message(Sanitize(result.error_message, kMaxMessageBytes, false));
  const std::set<size_t> known = KnownFailed(records, result);
  for (size_t i : known) failure->add_failed_sequences(records[i]->record.sequence);
  // A batch that moves on to its lowest failed record sets nothing aside.
  const bool moves_on = !known.empty() && *known.begin() > 0;
  if (!final_attempt || moves_on) return 0;
  const bool alone = !known.empty() && policy.discard_scope == DiscardScope::kRecord;
  return AddData(records, alone ? 1 : records.size(), report->ByteSizeLong(),
                 failure->mutable_records());
}

}  // namespace

std::string Sanitize(absl::string_view text, size_t max_bytes, bool one_line) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    absl::string_view character = length == 0 ? "\xef\xbf\xbd" : text.substr(0, length);
    const auto code = static_cast<unsigned char>(character[0]);
    const bool space = code == '\t' || code == '\n';
    const bool control = code < 0x20 || code == 0x7f ||
                         (code == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
    if (control && (!space || one_line)) character = " ";
    if (clean.size() + character.size() > max_bytes) break;
    absl::StrAppend(&clean, character);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

void SetSuccess(const Records& records, bool shard_end, v1::ReportBatchRequest* report) {
  SetRange(records, report);
  report->mutable_success()->set_shard_end(shard_end);
}

void SetNothingLeft(bool shard_end, v1::ReportBatchRequest* report) {
  report->mutable_success()->set_shard_end(shard_end);
}

void SetStarted(const Records& records, v1::ReportBatchRequest* report) {
  SetRange(records, report);
  AddSequences(records, report->mutable_started());
}

void SetResolved(const Position& position, v1::ReportBatchRequest* report) {
  ToProto(position, report->mutable_resolved()->mutable_position());
}

void SetVanished(const std::string& what, v1::ReportBatchRequest* report) {
  if (what.empty() || !report->has_success() || !report->success().shard_end()) return;
  report->mutable_success()->set_vanished(Sanitize(what, kMaxMessageBytes, false));
}

int32_t SetSetAside(const Records& records, int32_t count, Condition condition,
                    v1::ReportBatchRequest* report) {
  SetRange(records, report);
  v1::BatchSetAside* set_aside = report->mutable_set_aside();
  AddSequences(records, set_aside);
  set_aside->set_count(count);
  set_aside->set_condition(ToProto(condition));
  std::string problem = records.front()->problem;
  if (problem.empty()) {
    problem = condition == Condition::kRecordAgeExceeded
                  ? "older than the stream's maximum_record_age"
                  : "larger than the stream's maximum_batch_bytes";
  }
  set_aside->set_error_message(Sanitize(problem, kMaxMessageBytes, /*one_line=*/false));
  return AddData(records, static_cast<size_t>(count), report->ByteSizeLong(),
                 set_aside->mutable_records());
}

int32_t SetResult(const Records& records, const HandlerResult& result, const Policy& policy,
                  bool final_attempt, bool shard_end, v1::ReportBatchRequest* report) {
  switch (result.kind) {
    case HandlerResult::Kind::kSuccess:
      SetSuccess(records, shard_end, report);
      return 0;
    case HandlerResult::Kind::kFailed:
      if (!policy.report_batch_item_failures || result.failed.empty()) {
        SetSuccess(records, shard_end, report);
        return 0;
      }
      return SetFailure(records, result, policy, final_attempt, report);
    case HandlerResult::Kind::kRaised:
      return SetFailure(records, result, policy, final_attempt, report);
    case HandlerResult::Kind::kNotRun:
      report->mutable_not_run()->set_error_type(Sanitize(result.error_type, kMaxTypeBytes, true));
      report->mutable_not_run()->set_error_message(
          Sanitize(result.error_message, kMaxMessageBytes, false));
      return 0;
  }
  return 0;
}

}  // namespace lowmark
