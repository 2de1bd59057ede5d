#include "service/process/option_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "service/process/spelling.h"

namespace lowmark {
namespace {

absl::Status Wrong(absl::string_view message) { return absl::InvalidArgumentError(message); }

std::string Key(absl::string_view name) { return absl::StrReplaceAll(name, {{"_", "-"}}); }

// The scalar, or those of the list.
std::vector<std::string> Scalars(const YAML::Node& node) {
  std::vector<std::string> values;
  if (node.IsScalar()) values.push_back(node.Scalar());
  if (!node.IsSequence()) return values;
  for (const auto& part : node) {
    if (part.IsScalar()) values.push_back(part.Scalar());
  }
  return values;
}

}  // namespace

absl::StatusOr<OptionFile> ReadOptionFile(const std::string& path,
                                          const std::vector<std::string>& known) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return Wrong(absl::StrCat("there is no file ", path, ": --config must name a YAML file"));
  }
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAllFromFile(path);
  } catch (const YAML::BadFile&) {
    return Wrong(absl::StrCat("cannot read ", path, ": check its permissions"));
  } catch (const YAML::ParserException& e) {
    return Wrong(absl::StrCat(path, ":", e.mark.line + 1, ": not YAML: ", e.msg));
  }
  OptionFile values;
  if (documents.size() > 1) {
    return Wrong(absl::StrCat(path, ":", documents[1].Mark().line + 1,
                              ": a second YAML document: put all options into one"));
  }
  if (documents.empty() || documents[0].IsNull()) return values;
  const YAML::Node& root = documents[0];
  if (!root.IsMap())
    return Wrong(absl::StrCat(path, ": must hold lines of the form `option: value`"));
  for (const auto& item : root) {
    const int line = item.first.Mark().line + 1;
    const std::string at = absl::StrCat(path, ":", line, ": ");
    const std::string key = item.first.IsScalar() ? item.first.Scalar() : "";
    const std::string name = Key(key);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string nearest = Nearest(name, known);
      return Wrong(absl::StrCat(at, "unknown option ", Quoted(key),
                                nearest.empty() ? "" : ": did you mean " + nearest + "?"));
    }
    OptionFileValue value = {Scalars(item.second), line};
    if (value.values.empty() || value.values.size() < item.second.size()) {
      return Wrong(absl::StrCat(at, key, " must have a value, or a list of values"));
    }
    if (!values.emplace(name, value).second) return Wrong(absl::StrCat(at, key, " stands twice"));
  }
  return values;
}

}  // namespace lowmark
