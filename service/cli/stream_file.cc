#include "service/cli/stream_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/cli/stream_fields.h"
#include "service/cli/text.h"
#include "service/core/policy.h"
#include "service/core/position.h"
#include "service/rpc/convert.h"

namespace lowmark::cli {
namespace {

// Says where in the file something is wrong.
class Place {
 public:
  explicit Place(std::string path) : path_(std::move(path)) {}
  absl::Status Wrong(const YAML::Mark& mark, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ":", mark.line + 1, ": ", what));
  }

 private:
  std::string path_;
};

// A map's entries; a key that stands twice, which yaml-cpp would let pass, is wrong.
absl::StatusOr<std::vector<std::pair<std::string, YAML::Node>>> Entries(const YAML::Node& map,
                                                                        absl::string_view what,
                                                                        const Place& place) {
  if (!map.IsMap()) return place.Wrong(map.Mark(), absl::StrCat(what, " must be a map"));
  std::vector<std::pair<std::string, YAML::Node>> entries;
  std::set<std::string> seen;
  for (const auto& item : map) {
    const std::string key = item.first.IsScalar() ? item.first.Scalar() : "";
    if (!seen.insert(key).second) {
      return place.Wrong(item.first.Mark(), absl::StrCat("\"", Safe(key), "\" stands twice"));
    }
    entries.emplace_back(key, item.second);
  }
  return entries;
}

// A field's value, or the entries of one that is a map itself.
absl::Status ReadValue(const YAML::Node& value, const std::string& name, const Place& place,
                       DeclaredStream& stream) {
  std::vector<std::string> assignments;
  if (value.IsMap()) {
    auto entries = Entries(value, name, place);
    if (!entries.ok()) return entries.status();
    for (const auto& [key, entry] : *entries) {
      assignments.push_back(
          absl::StrCat(name, "=", key, "=", entry.IsScalar() ? entry.Scalar() : ""));
    }
  } else if (value.IsScalar()) {
    assignments.push_back(absl::StrCat(name, "=", value.Scalar()));
  } else {
    return place.Wrong(value.Mark(), absl::StrCat(Safe(name), " must have one value"));
  }
  for (const std::string& assignment : assignments) {
    auto field = SetField(assignment, stream.config);
    if (!field.ok()) return place.Wrong(value.Mark(), field.status().message());
  }
  if (std::find(stream.fields.begin(), stream.fields.end(), name) != stream.fields.end()) {
    return place.Wrong(value.Mark(), absl::StrCat(Safe(name), " stands twice"));
  }
  stream.fields.push_back(name);
  return absl::OkStatus();
}

absl::Status ReadFields(const YAML::Node& map, const std::string& prefix, const Place& place,
                        DeclaredStream& stream) {
  auto entries = Entries(map, prefix.empty() ? "config" : prefix, place);
  if (!entries.ok()) return entries.status();
  for (const auto& [key, value] : *entries) {
    const std::string name = prefix.empty() ? key : absl::StrCat(prefix, ".", key);
    if (value.IsMap() && !CheckField(name).ok()) {
      if (auto s = ReadFields(value, name, place, stream); !s.ok()) return s;
      continue;
    }
    if (auto s = ReadValue(value, name, place, stream); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status ReadPart(const std::string& key, const YAML::Node& value, const Place& place,
                      DeclaredStream& stream) {
  if (key == "preset") {
    const std::string preset = value.IsScalar() ? value.Scalar() : "";
    if (preset != "lowmark" && preset != "lambda") {
      return place.Wrong(value.Mark(), absl::StrCat("preset is \"", Safe(preset),
                                                    "\": must be lowmark or lambda"));
    }
    if (preset == "lambda") stream.preset = v1::PRESET_LAMBDA;
    return absl::OkStatus();
  }
  if (key == "config") {
    return value.IsNull() ? absl::OkStatus() : ReadFields(value, "", place, stream);
  }
  return place.Wrong(value.Mark(), absl::StrCat("a stream has no \"", Safe(key),
                                                "\" here: it has preset and config"));
}

absl::StatusOr<DeclaredStream> ReadStream(const std::string& name, const YAML::Node& node,
                                          const Place& place) {
  if (!IsToken(name)) {
    return place.Wrong(node.Mark(), absl::StrCat("\"", Safe(name),
                                                 "\" is no name for a stream: must match "
                                                 "[A-Za-z0-9._:-]{1,128}"));
  }
  DeclaredStream stream;
  stream.name = name;
  // `orders:` and nothing after it: all the defaults.
  if (!node.IsNull()) {
    auto parts = Entries(node, Safe(name), place);
    if (!parts.ok()) return parts.status();
    for (const auto& [key, value] : *parts) {
      if (auto s = ReadPart(key, value, place, stream); !s.ok()) return s;
    }
  }
  auto policy = PolicyFromProto(stream.config,
                                stream.preset == v1::PRESET_LAMBDA ? Policy::Lambda() : Policy());
  if (!policy.ok()) {
    return place.Wrong(node.Mark(), absl::StrCat(name, ": ", policy.status().message()));
  }
  ToProto(*policy, &stream.whole);
  return stream;
}

absl::StatusOr<YAML::Node> Load(const std::string& path, const Place& place) {
  std::error_code error;
  // A directory could be opened, and read as nothing.
  if (std::filesystem::is_directory(path, error) || !std::filesystem::exists(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no file ", Safe(path), ": --file must name a YAML file"));
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAllFromFile(path);
    if (documents.size() > 1) {
      return place.Wrong(documents[1].Mark(), "a second YAML document: put all streams into one");
    }
    if (!documents.empty() && !documents[0].IsNull()) return documents[0];
    return absl::InvalidArgumentError(
        absl::StrCat(Safe(path), ": is empty: must begin with `streams:`"));
  } catch (const YAML::BadFile&) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", Safe(path), ": check its permissions"));
  } catch (const YAML::ParserException& e) {
    return place.Wrong(e.mark, absl::StrCat("not YAML: ", e.msg));
  }
}

}  // namespace

absl::StatusOr<std::vector<DeclaredStream>> ReadStreamFile(const std::string& path) {
  const Place place{Safe(path)};
  auto root = Load(path, place);
  if (!root.ok()) return root.status();
  auto parts = Entries(*root, "the file", place);
  if (!parts.ok()) return parts.status();
  if (parts->size() != 1 || parts->front().first != "streams") {
    return place.Wrong(root->Mark(),
                       "must hold `streams:` with a map of streams, and nothing else");
  }
  std::vector<DeclaredStream> streams;
  if (parts->front().second.IsNull()) return streams;
  auto entries = Entries(parts->front().second, "streams", place);
  if (!entries.ok()) return entries.status();
  for (const auto& [name, node] : *entries) {
    auto stream = ReadStream(name, node, place);
    if (!stream.ok()) return stream.status();
    streams.push_back(*std::move(stream));
  }
  return streams;
}

}  // namespace lowmark::cli
