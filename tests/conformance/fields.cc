#include "tests/conformance/fields.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"

namespace lowmark::conformance {
namespace {

template <typename T>
absl::Status ParseScalar(const YAML::Node& node, const std::string& where, const char* kind,
                         bool (*convert)(absl::string_view, T*), T& out) {
  if (!node.IsScalar()) return Wrong(where, absl::StrCat("must be ", kind));
  if (convert(node.Scalar(), &out)) return absl::OkStatus();
  return Wrong(where, absl::StrCat("is \"", node.Scalar(), "\": must be ", kind));
}

bool ToDouble(absl::string_view text, double* out) { return absl::SimpleAtod(text, out); }
// A mapping with what its merge key (`<<: *anchor`) brings in; yaml-cpp leaves
// that to its users.
YAML::Node WithMerges(const YAML::Node& node) {
  if (!node.IsMap() || !node["<<"] || !node["<<"].IsMap()) return node;
  YAML::Node merged = YAML::Clone(node);
  merged.remove("<<");
  for (const auto& entry : WithMerges(node["<<"])) {
    if (!node[entry.first.Scalar()]) merged[entry.first.Scalar()] = entry.second;
  }
  return merged;
}

template <typename T>
bool ToInteger(absl::string_view text, T* out) {
  return absl::SimpleAtoi(text, out);
}

}  // namespace

absl::Status Wrong(const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(where, where.empty() ? "" : ": ", what));
}

absl::Status Parse(const YAML::Node& node, const std::string& where, int& out) {
  return ParseScalar<int>(node, where, "an integer", ToInteger<int>, out);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, int64_t& out) {
  return ParseScalar<int64_t>(node, where, "an integer", ToInteger<int64_t>, out);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, double& out) {
  return ParseScalar<double>(node, where, "a number", ToDouble, out);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, bool& out) {
  if (node.IsScalar() && node.Tag() != "!" && YAML::convert<bool>::decode(node, out)) {
    return absl::OkStatus();
  }
  return Wrong(where, "must be true or false");
}

absl::Status Parse(const YAML::Node& node, const std::string& where, std::string& out) {
  if (!node.IsScalar()) return Wrong(where, "must be a string");
  out = node.Scalar();
  return absl::OkStatus();
}

absl::Status Parse(const YAML::Node& node, const std::string& where, absl::Duration& out) {
  double seconds = 0;
  if (node.IsScalar()) {
    if (absl::SimpleAtod(node.Scalar(), &seconds) && std::isfinite(seconds)) {
      out = absl::Seconds(seconds);
      return absl::OkStatus();
    }
    if (absl::ParseDuration(node.Scalar(), &out)) return absl::OkStatus();
  }
  return Wrong(where, "must be a number of seconds, or a duration as 200ms or 1m30s");
}

Fields::Fields(const YAML::Node& node, std::string where)
    : node_(WithMerges(node)), where_(std::move(where)) {
  if (!node_.IsMap()) {
    status_ = Wrong(where_, "must be a mapping");
    return;
  }
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) {
      status_ = Wrong(where_, "has a key that is no word");
    } else if (!present_.insert(entry.first.Scalar()).second) {
      status_ = Wrong(Place(entry.first.Scalar()), "is there twice");
    }
  }
}

bool Fields::Expect(const char* key) {
  known_.insert(key);
  return status_.ok() && Has(key);
}

YAML::Node Fields::Take(const char* key) {
  return Expect(key) ? node_[key] : YAML::Node(YAML::NodeType::Undefined);
}

std::string Fields::Place(const std::string& key) const {
  return where_.empty() ? key : absl::StrCat(where_, ".", key);
}

absl::Status Fields::Finish() const {
  if (!status_.ok()) return status_;
  for (const std::string& key : present_) {
    if (known_.contains(key)) continue;
    return Wrong(Place(key), absl::StrCat("is unknown; known are ", absl::StrJoin(known_, ", ")));
  }
  return absl::OkStatus();
}

}  // namespace lowmark::conformance
