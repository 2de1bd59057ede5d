#include "worker/source/kinesis/aggregate.h"

#include <openssl/evp.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "kpl/aggregated_record.pb.h"

namespace lowmark {
namespace {

constexpr absl::string_view kMagic("\xf3\x89\x9a\xc2", 4);
constexpr size_t kDigestBytes = 16;
// Seven digits count no further; the largest record of Kinesis has room for 2 million.
constexpr int kMostRecords = 9'999'999;

bool IsMd5(absl::string_view text, absl::string_view digest) {
  unsigned char computed[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return EVP_Digest(text.data(), text.size(), computed, &size, EVP_md5(), nullptr) == 1 &&
         digest == absl::string_view(reinterpret_cast<const char*>(computed), size);
}

// The message of an aggregate: magic, message, MD5 of the message.
bool ParseAggregate(absl::string_view data, kpl::AggregatedRecord& aggregate) {
  if (!absl::StartsWith(data, kMagic) || data.size() < kMagic.size() + kDigestBytes) return false;
  data.remove_prefix(kMagic.size());
  const absl::string_view message = data.substr(0, data.size() - kDigestBytes);
  if (!IsMd5(message, data.substr(message.size()))) return false;
  if (!aggregate.ParseFromArray(message.data(), static_cast<int>(message.size()))) return false;
  if (aggregate.records_size() == 0 || aggregate.records_size() > kMostRecords) return false;
  const auto keys = static_cast<uint64_t>(aggregate.partition_key_table_size());
  for (const kpl::Record& record : aggregate.records()) {
    if (record.partition_key_index() >= keys) return false;
  }
  return true;
}

}  // namespace

std::string WithSubsequence(const std::string& sequence, int64_t subsequence) {
  return absl::StrFormat("%s%0*d", sequence, kSubsequenceDigits, subsequence);
}

bool HasSubsequence(const Position& from) { return from.sequence.size() > kKinesisDigits; }

Position KinesisPosition(const Position& from) {
  if (!HasSubsequence(from)) return from;
  const std::string sequence = from.sequence.substr(0, from.sequence.size() - kSubsequenceDigits);
  const bool whole = from.sequence == WithSubsequence(sequence, 0);
  if (whole && from.kind == Position::Kind::kAfter) return Position::After(sequence);
  return Position::At(sequence);
}

std::vector<Record> Deaggregate(Record record) {
  std::vector<Record> records;
  kpl::AggregatedRecord aggregate;
  if (!ParseAggregate(record.data, aggregate)) {
    record.sequence = WithSubsequence(record.sequence, 0);
    records.push_back(std::move(record));
    return records;
  }
  records.reserve(aggregate.records_size());
  for (int i = 0; i < aggregate.records_size(); ++i) {
    kpl::Record& inner = *aggregate.mutable_records(i);
    records.push_back({WithSubsequence(record.sequence, i + 1),
                       aggregate.partition_key_table(static_cast<int>(inner.partition_key_index())),
                       record.arrival_time, std::move(*inner.mutable_data())});
  }
  return records;
}

}  // namespace lowmark
