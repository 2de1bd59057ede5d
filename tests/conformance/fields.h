// Reading YAML strictly: a mapping whose every key is known and whose every value
// is of the right kind, or an error that names the place.
//
//   Fields fields(node, "ops[0]");
//   fields.Read("at", op.at).Read("failed", op.failed);
//   return fields.Finish();
#ifndef LOWMARK_TESTS_CONFORMANCE_FIELDS_H_
#define LOWMARK_TESTS_CONFORMANCE_FIELDS_H_

#include <yaml-cpp/yaml.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace lowmark::conformance {

// INVALID_ARGUMENT: "<where>: <what>".
absl::Status Wrong(const std::string& where, const std::string& what);

absl::Status Parse(const YAML::Node& node, const std::string& where, int& out);
absl::Status Parse(const YAML::Node& node, const std::string& where, int64_t& out);
absl::Status Parse(const YAML::Node& node, const std::string& where, double& out);
absl::Status Parse(const YAML::Node& node, const std::string& where, bool& out);
absl::Status Parse(const YAML::Node& node, const std::string& where, std::string& out);
// A number of seconds, or a number with its unit: 60, 0.2, 200ms, 1m30s.
absl::Status Parse(const YAML::Node& node, const std::string& where, absl::Duration& out);

template <typename T>
absl::Status Parse(const YAML::Node& node, const std::string& where, std::vector<T>& out);

template <typename T>
absl::Status Parse(const YAML::Node& node, const std::string& where, std::optional<T>& out) {
  return Parse(node, where, out.emplace());
}

template <typename T>
absl::Status Parse(const YAML::Node& node, const std::string& where, std::vector<T>& out) {
  if (!node.IsSequence()) return Wrong(where, "must be a list");
  for (size_t i = 0; i < node.size(); ++i) {
    T value{};
    if (auto s = Parse(node[i], absl::StrCat(where, "[", i, "]"), value); !s.ok()) return s;
    out.push_back(std::move(value));
  }
  return absl::OkStatus();
}

class Fields {
 public:
  Fields(const YAML::Node& node, std::string where);

  // Reads the key's value, where the key is there. After an error it does nothing.
  template <typename T>
  Fields& Read(const char* key, T& out) {
    if (Expect(key)) status_ = Parse(node_[key], Place(key), out);
    return *this;
  }
  // The value itself, for what has no kind of its own; not defined where the key
  // is not there.
  YAML::Node Take(const char* key);
  bool Has(const char* key) const { return present_.contains(key); }
  std::string Place(const std::string& key) const;
  // The first error: of a value, or that a key is unknown.
  absl::Status Finish() const;

 private:
  bool Expect(const char* key);

  const YAML::Node node_;
  const std::string where_;
  std::set<std::string> present_;
  std::set<std::string> known_;
  absl::Status status_;
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_FIELDS_H_
