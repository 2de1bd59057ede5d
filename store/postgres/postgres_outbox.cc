// PostgresStore: dead letters on their way to a stream's destination.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/policy_json.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/stream_id.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// The columns that kSelectClaimed has after those of a dead letter.
constexpr pqxx::row::size_type kClaim = 18;
constexpr pqxx::row::size_type kFirstArrival = 19;
constexpr pqxx::row::size_type kLastArrival = 20;

std::string ToText(const pqxx::field& field) { return {field.c_str(), field.size()}; }

std::optional<absl::Time> ToOptionalTime(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : std::optional(ToTime(field));
}

Outbox ReadOutbox(const pqxx::row& row) {
  Outbox outbox;
  outbox.cursor = ToText(row[0]);
  outbox.stream = ToText(row[1]);
  outbox.waiting = ToInt(row[2]);
  outbox.now = ToTime(row[5]);
  // All may have been forwarded just now.
  outbox.oldest = row[3].is_null() ? outbox.now : ToTime(row[3]);
  outbox.due = *row[4].c_str() == 't';
  return outbox;
}

// Reads the letters of these ids with as much of their records as `most` allows.
std::vector<ClaimedLetter> ReadClaimed(pqxx::transaction_base& transaction,
                                       const std::string& stream, int64_t stream_id,
                                       const std::string& ids, int64_t most) {
  std::vector<ClaimedLetter> letters;
  std::map<int64_t, size_t> index;
  for (const pqxx::row& row : transaction.exec_params(sql::kSelectClaimed, stream_id, ids)) {
    ClaimedLetter claimed;
    claimed.letter = ReadDeadLetter(stream, row);
    claimed.claim = ToInt(row[kClaim]);
    claimed.first_arrival = ToOptionalTime(row[kFirstArrival]);
    claimed.last_arrival = ToOptionalTime(row[kLastArrival]);
    index[claimed.letter.id] = letters.size();
    letters.push_back(std::move(claimed));
  }
  if (most == 0) return letters;
  for (const pqxx::row& row :
       transaction.exec_params(sql::kSelectFirstRecords, stream_id, ids, most)) {
    letters[index[ToInt(row[0])]].letter.records.push_back(
        {ToText(row[1]), ParseBytes(row[3].c_str()), ToTime(row[2]), ParseBytes(row[4].c_str()),
         ReadHeaders(row[5])});
  }
  return letters;
}

}  // namespace

absl::StatusOr<std::vector<Outbox>> PostgresStore::ListOutboxes(const std::string& after,
                                                                int32_t limit) {
  int64_t after_id = 0;
  if (!after.empty() && !absl::SimpleAtoi(after, &after_id)) {
    return InvalidField("after", after, "must be an outbox's cursor");
  }
  std::vector<Outbox> outboxes;
  const absl::Status status =
      pool_->Run(Mode::kStatement, [&](pqxx::transaction_base& transaction) {
        outboxes.clear();
        for (const pqxx::row& row :
             transaction.exec_params(sql::kSelectOutboxes, after_id, limit, Outbox::kMostCounted)) {
          outboxes.push_back(ReadOutbox(row));
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return outboxes;
}

absl::StatusOr<ClaimedLetters> PostgresStore::ClaimLetters(const std::string& stream, int32_t limit,
                                                           absl::Duration lease) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  ClaimedLetters claimed;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        claimed = ClaimedLetters();
        const pqxx::result found = transaction.exec_params(sql::kSelectPolicy, stream);
        if (found.empty()) return StreamNotFound(stream);
        const int64_t stream_id = ToInt(found[0][0]);
        auto policy = PolicyFromJson(ToText(found[0][1]));
        if (!policy.ok()) return policy.status();
        if (!policy->on_failure.set()) return absl::OkStatus();
        claimed.on_failure = policy->on_failure;
        TextArray ids;
        for (const pqxx::row& row :
             transaction.exec_params(sql::kClaimLetters, stream_id, limit, ToMicros(lease))) {
          ids.AddNumber(ToInt(row[0]));
        }
        if (ids.size() == 0) return absl::OkStatus();
        claimed.letters = ReadClaimed(transaction, stream, stream_id, ids.Finish(),
                                      policy->on_failure.maximum_data_bytes);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return claimed;
}

absl::Status PostgresStore::SettleLetters(const std::string& stream,
                                          const std::vector<ForwardResult>& results) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  using Kind = ForwardResult::Kind;
  TextArray id, claim, forwarded, tries, error, pause;
  for (const ForwardResult& result : results) {
    if (auto s = CheckText("error", result.error); !s.ok()) return s;
    id.AddNumber(result.id);
    claim.AddNumber(result.claim);
    forwarded.AddBool(result.kind == Kind::kForwarded);
    tries.AddNumber(result.kind == Kind::kNotTried ? 0 : 1);
    error.Add(result.error);
    pause.AddNumber(ToMicros(result.pause));
  }
  return pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
    auto stream_id = FindStreamId(transaction, stream);
    if (!stream_id.ok()) return stream_id.status();
    transaction.exec_params(sql::kSettleLetters, *stream_id, id.Finish(), claim.Finish(),
                            forwarded.Finish(), tries.Finish(), error.Finish(), pause.Finish());
    return absl::OkStatus();
  });
}

}  // namespace lowmark
