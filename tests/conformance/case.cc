#include "tests/conformance/case.h"

#include <algorithm>
#include <exception>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/conformance/fields.h"
#include "tests/conformance/policy_fields.h"

namespace lowmark::conformance {

// Found by the templates of fields.h through their last argument's type.
static absl::Status Parse(const YAML::Node& node, const std::string& where, Rule& out);
static absl::Status Parse(const YAML::Node& node, const std::string& where, Op& out);
static absl::Status Parse(const YAML::Node& node, const std::string& where,
                          ExpectedDeadLetter& out);
static absl::Status Parse(const YAML::Node& node, const std::string& where, Expect& out);

namespace {

constexpr int kMostRecords = 100000;

// A list of records by ordinal.
absl::Status CheckOrdinals(const std::vector<int>& records, const std::string& where) {
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i] < 1) {
      return Wrong(absl::StrCat(where, "[", i, "]"), "must be a record's ordinal, from 1");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFromOne(const std::optional<int>& value, const std::string& where) {
  if (!value || *value >= 1) return absl::OkStatus();
  return Wrong(where, "must be at least 1");
}

absl::Status First(std::initializer_list<absl::Status> checks) {
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  return absl::OkStatus();
}

// The rule's one outcome.
absl::Status ParseAct(const std::string& where, Fields& fields, Rule& out) {
  const YAML::Node answer = fields.Take("answer");
  fields.Read("report", out.report);
  int acts = 0;
  for (const auto& [key, act] :
       {std::pair("raise", Rule::Act::kRaise), std::pair("report_index", Rule::Act::kReportIndex),
        std::pair("die", Rule::Act::kDie)}) {
    bool value = true;
    fields.Read(key, value);
    if (!value) return Wrong(fields.Place(key), "must be true where it is given");
    if (!fields.Has(key)) continue;
    out.act = act;
    ++acts;
  }
  if (fields.Has("report")) {
    out.act = Rule::Act::kReport;
    ++acts;
  }
  if (fields.Has("answer")) {
    out.act = Rule::Act::kAnswer;
    ++acts;
    // A bare null in YAML stands for the body `null`.
    if (answer.IsDefined() && answer.IsNull()) {
      out.answer = "null";
    } else if (answer.IsDefined()) {
      if (auto s = Parse(answer, fields.Place("answer"), out.answer); !s.ok()) return s;
    }
  }
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (acts != 1) return Wrong(where, "must have one of raise, report, report_index, answer, die");
  if (out.act == Rule::Act::kReportIndex && !out.index) {
    return Wrong(where, "has report_index but no index");
  }
  return absl::OkStatus();
}

}  // namespace

static absl::Status Parse(const YAML::Node& node, const std::string& where, Rule& out) {
  Fields fields(node, where);
  fields.Read("when_has", out.when_has)
      .Read("delivery", out.delivery)
      .Read("index", out.index)
      .Read("times", out.times);
  if (auto s = ParseAct(where, fields, out); !s.ok()) return s;
  return First({CheckOrdinals(out.when_has, fields.Place("when_has")),
                CheckOrdinals(out.report, fields.Place("report")),
                CheckFromOne(out.delivery, fields.Place("delivery")),
                CheckFromOne(out.index, fields.Place("index")),
                CheckFromOne(out.times, fields.Place("times"))});
}

static absl::Status Parse(const YAML::Node& node, const std::string& where, Op& out) {
  std::string kind;
  Fields fields(node, where);
  fields.Read("op", kind).Read("after_delivery", out.after_delivery);
  if (kind == "repeat_report") {
    out.kind = Op::Kind::kRepeatReport;
  } else if (kind == "stale_epoch_report") {
    out.kind = Op::Kind::kStaleEpochReport;
  } else if (kind == "report_outside") {
    out.kind = Op::Kind::kReportOutside;
    fields.Read("failed", out.failed);
  } else if (kind == "seek") {
    out.kind = Op::Kind::kSeek;
    fields.Read("at", out.at);
  } else if (kind == "restart_coordinator") {
    out.kind = Op::Kind::kRestartCoordinator;
  } else {
    return Wrong(fields.Place("op"),
                 "must be repeat_report, stale_epoch_report, report_outside, seek or "
                 "restart_coordinator");
  }
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (out.kind == Op::Kind::kReportOutside && out.failed.empty()) {
    return Wrong(fields.Place("failed"), "must name a record");
  }
  if (out.kind == Op::Kind::kSeek && out.at < 1) {
    return Wrong(fields.Place("at"), "must be a record's ordinal, from 1");
  }
  return First({CheckOrdinals(out.failed, fields.Place("failed")),
                CheckFromOne(out.after_delivery, fields.Place("after_delivery"))});
}

static absl::Status Parse(const YAML::Node& node, const std::string& where,
                          ExpectedDeadLetter& out) {
  Fields fields(node, where);
  fields.Read("first", out.first)
      .Read("last", out.last)
      .Read("count", out.count)
      .Read("condition", out.condition)
      .Read("attempts", out.attempts);
  return fields.Finish();
}

namespace {

absl::Status ParseCheckpoint(const YAML::Node& node, const std::string& where, std::string& out) {
  if (node.IsScalar()) {
    out = node.Scalar();
    for (const char* name : {"TRIM_HORIZON", "LATEST", "SHARD_END"}) {
      if (out == name) return absl::OkStatus();
    }
    return Wrong(where, "must be {at: n}, {after: n}, TRIM_HORIZON, LATEST or SHARD_END");
  }
  std::optional<int> at;
  std::optional<int> after;
  Fields fields(node, where);
  fields.Read("at", at).Read("after", after);
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (at.has_value() == after.has_value()) return Wrong(where, "must have one of at, after");
  out = at ? absl::StrCat("{at: ", *at, "}") : absl::StrCat("{after: ", *after, "}");
  return absl::OkStatus();
}

}  // namespace

static absl::Status Parse(const YAML::Node& node, const std::string& where, Expect& out) {
  Fields fields(node, where);
  fields.Read("deliveries", out.deliveries)
      .Read("batches", out.batches)
      .Read("backoff", out.backoff)
      .Read("dead_letters", out.dead_letters);
  const YAML::Node checkpoint = fields.Take("checkpoint");
  const YAML::Node error = fields.Take("error");
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (checkpoint.IsDefined()) {
    auto s = ParseCheckpoint(checkpoint, fields.Place("checkpoint"), out.checkpoint.emplace());
    if (!s.ok()) return s;
  }
  if (error.IsDefined()) {
    out.error.emplace();
    if (!error.IsNull()) return Parse(error, fields.Place("error"), *out.error);
  }
  return absl::OkStatus();
}

namespace {

absl::Status ParseAges(const YAML::Node& node, const std::string& where, Case& out) {
  if (!node.IsMap()) return Wrong(where, "must map records to seconds");
  for (const auto& entry : node) {
    int record = 0;
    absl::Duration age;
    if (auto s = Parse(entry.first, where, record); !s.ok()) return s;
    const std::string place = absl::StrCat(where, ".", record);
    if (auto s = Parse(entry.second, place, age); !s.ok()) return s;
    if (record < 1 || record > static_cast<int>(out.sequences.size())) {
      return Wrong(place, "is no record of the case");
    }
    if (age < absl::ZeroDuration()) return Wrong(place, "must not be negative");
    if (!out.ages.emplace(record, age).second) return Wrong(place, "is there twice");
  }
  return absl::OkStatus();
}

absl::Status CheckSequences(const Case& out) {
  const SequenceOrder order = out.policy.sequence_order;
  std::set<std::string> seen;
  for (size_t i = 0; i < out.sequences.size(); ++i) {
    const std::string place = absl::StrCat("sequences[", i, "]");
    if (!IsSequence(out.sequences[i], order)) return Wrong(place, SequenceForm(order));
    if (!seen.insert(out.sequences[i]).second) return Wrong(place, "is there twice");
    if (order == SequenceOrder::kNumeric && i > 0 &&
        CompareNumeric(out.sequences[i - 1], out.sequences[i]) > 0) {
      return Wrong(place, "must come after the one before");
    }
  }
  return absl::OkStatus();
}

absl::Status ParseRecords(Fields& fields, Case& out) {
  std::optional<int> records;
  fields.Read("records", records).Read("sequences", out.sequences);
  if (fields.Has("records") == fields.Has("sequences")) {
    return Wrong("", "must have one of records, sequences");
  }
  if (!records) return absl::OkStatus();
  if (*records < 0 || *records > kMostRecords) {
    return Wrong("records", absl::StrCat("must be 0..", kMostRecords));
  }
  for (int i = 1; i <= *records; ++i) out.sequences.push_back(absl::StrCat(i));
  return absl::OkStatus();
}

absl::Status ParseCase(const YAML::Node& node, Case& out) {
  Fields fields(node, "");
  out.policy = Policy::Lambda();
  fields.Read("id", out.id)
      .Read("about", out.about)
      .Read("ops", out.ops)
      .Read("expect", out.expect);
  // No rules, or none at all: every delivery is a success.
  const YAML::Node handler = fields.Take("handler");
  const YAML::Node ages = fields.Take("ages");
  const YAML::Node policy = fields.Take("policy");
  if (!fields.Has("id")) return Wrong("id", "is missing");
  absl::Status records = ParseRecords(fields, out);
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (!records.ok()) return records;
  if (!fields.Has("expect")) return Wrong("expect", "is missing");
  if (policy.IsDefined()) {
    if (auto s = Parse(policy, "policy", out.policy); !s.ok()) return s;
  }
  if (auto s = CheckSequences(out); !s.ok()) return s;
  if (handler.IsDefined() && !handler.IsNull()) {
    if (auto s = Parse(handler, "handler", out.handler); !s.ok()) return s;
  }
  for (size_t i = 0; i < out.ops.size(); ++i) {
    if (out.ops[i].kind == Op::Kind::kSeek &&
        out.ops[i].at > static_cast<int>(out.sequences.size())) {
      return Wrong(absl::StrCat("ops[", i, "].at"), "is no record of the case");
    }
  }
  return ages.IsDefined() ? ParseAges(ages, "ages", out) : absl::OkStatus();
}

// How to call a case in an error, where its id may not even be a word.
std::string NameOf(const YAML::Node& node, size_t place) {
  if (node.IsMap() && node["id"] && node["id"].IsScalar()) return node["id"].Scalar();
  return absl::StrCat("case ", place);
}

void ReadDocument(const std::string& path, const YAML::Node& document, std::set<std::string>& ids,
                  CaseFile& out) {
  if (document.IsNull()) return;
  if (!document.IsSequence()) {
    out.errors.push_back(absl::StrCat(path, ": must be a list of cases"));
    return;
  }
  for (size_t i = 0; i < document.size(); ++i) {
    Case read;
    absl::Status status = ParseCase(document[i], read);
    if (status.ok() && !ids.insert(read.id).second) status = Wrong("id", "is used twice");
    if (status.ok()) {
      read.file = path;
      out.cases.push_back(std::move(read));
    } else {
      out.errors.push_back(absl::StrCat(path, ": ", NameOf(document[i], i + 1), ": ",
                                        std::string(status.message())));
    }
  }
}

}  // namespace

bool Case::Restarts() const {
  return std::any_of(ops.begin(), ops.end(),
                     [](const Op& op) { return op.kind == Op::Kind::kRestartCoordinator; });
}

std::string CheckpointText(const Position& position, const std::vector<std::string>& sequences) {
  const char* kind = position.kind == Position::Kind::kAt      ? "at"
                     : position.kind == Position::Kind::kAfter ? "after"
                                                               : nullptr;
  if (kind == nullptr) return position.ToString();
  const auto found = std::find(sequences.begin(), sequences.end(), position.sequence);
  if (found == sequences.end()) return absl::StrCat("{", kind, ": \"", position.sequence, "\"}");
  return absl::StrCat("{", kind, ": ", found - sequences.begin() + 1, "}");
}

CaseFile ReadCases(const std::string& path) {
  CaseFile out;
  std::set<std::string> ids;
  try {
    for (const YAML::Node& document : YAML::LoadAllFromFile(path)) {
      ReadDocument(path, document, ids, out);
    }
  } catch (const YAML::BadFile&) {
    out.errors.push_back(absl::StrCat(path, ": cannot be read"));
  } catch (const std::exception& e) {
    out.errors.push_back(absl::StrCat(path, ": ", e.what()));
  }
  if (out.cases.empty() && out.errors.empty()) {
    out.errors.push_back(absl::StrCat(path, ": has no cases"));
  }
  return out;
}

}  // namespace lowmark::conformance
