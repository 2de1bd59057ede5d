#include "service/cli/stream_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/cli/text.h"
#include "service/process/spelling.h"

namespace lowmark::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsDuration(const FieldDescriptor& field) {
  return field.message_type() == google::protobuf::Duration::descriptor();
}

bool IsPosition(const FieldDescriptor& field) {
  return field.message_type() == v1::Position::descriptor();
}

// Whether the field is made of fields of its own.
bool IsGroup(const FieldDescriptor& field) {
  return field.message_type() != nullptr && !field.is_map() && !IsDuration(field) &&
         !IsPosition(field);
}

std::string ValueText(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.has_presence() && !reflection.HasField(message, &field)) return "";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_STRING:
      return Safe(reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      // The first value of each stands for "not set".
      if (reflection.GetEnumValue(message, &field) == 0) return "";
      return EnumText(*reflection.GetEnum(message, &field));
    default: {
      const Message& value = reflection.GetMessage(message, &field);
      if (IsPosition(field)) return PositionText(dynamic_cast<const v1::Position&>(value));
      return DurationText(dynamic_cast<const google::protobuf::Duration&>(value));
    }
  }
}

// A map's entries as "KEY=VALUE", by key.
std::vector<std::string> Entries(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  std::vector<std::string> entries;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    entries.push_back(absl::StrCat(ValueText(entry, *field.message_type()->map_key()), "=",
                                   ValueText(entry, *field.message_type()->map_value())));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

void AppendFields(const Message& message, const std::string& prefix,
                  std::vector<std::pair<std::string, std::string>>& fields) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string name = prefix + field.name();
    if (IsGroup(field)) {
      AppendFields(message.GetReflection()->GetMessage(message, &field), name + ".", fields);
    } else if (field.is_map() && message.GetReflection()->FieldSize(message, &field) > 0) {
      for (std::string& entry : Entries(message, field))
        fields.emplace_back(name, std::move(entry));
    } else if (field.is_map()) {
      fields.emplace_back(name, "");
    } else {
      fields.emplace_back(name, ValueText(message, field));
    }
  }
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (auto& [name, value] : Fields(v1::StreamConfig())) names.push_back(name);
  return names;
}

absl::Status Wrong(const std::string& name, const std::string& value, absl::string_view allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat(Safe(name), " is \"", Safe(value), "\": must be ", allowed));
}

template <typename Number>
absl::StatusOr<Number> ParseWhole(const std::string& name, const std::string& value) {
  Number number = 0;
  if (!absl::SimpleAtoi(value, &number)) return Wrong(name, value, "a whole number");
  return number;
}

absl::Status SetEnum(const std::string& name, const std::string& value, Message& message,
                     const FieldDescriptor& field) {
  std::vector<std::string> words;
  for (int i = 1; i < field.enum_type()->value_count(); ++i) {
    const auto& candidate = *field.enum_type()->value(i);
    words.push_back(EnumText(candidate));
    if (absl::AsciiStrToLower(value) == words.back() || value == candidate.name()) {
      message.GetReflection()->SetEnum(&message, &field, &candidate);
      return absl::OkStatus();
    }
  }
  return Wrong(name, value, absl::StrJoin(words, " or "));
}

absl::Status SetEntry(const std::string& name, const std::string& value, Message& message,
                      const FieldDescriptor& field) {
  const size_t equals = value.find('=');
  if (equals == std::string::npos || equals == 0) return Wrong(name, value, "KEY=VALUE");
  Message& entry = *message.GetReflection()->AddMessage(&message, &field);
  const auto& reflection = *entry.GetReflection();
  reflection.SetString(&entry, field.message_type()->map_key(), value.substr(0, equals));
  reflection.SetString(&entry, field.message_type()->map_value(), value.substr(equals + 1));
  return absl::OkStatus();
}

absl::Status SetValue(const std::string& name, const std::string& value, Message& message,
                      const FieldDescriptor& field) {
  if (field.is_map()) return SetEntry(name, value, message, field);
  const auto& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&message, &field, value);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_INT32: {
      auto number = ParseWhole<int32_t>(name, value);
      if (number.ok()) reflection.SetInt32(&message, &field, *number);
      return number.status();
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      auto number = ParseWhole<int64_t>(name, value);
      if (number.ok()) reflection.SetInt64(&message, &field, *number);
      return number.status();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number = 0;
      if (!absl::SimpleAtod(value, &number)) return Wrong(name, value, "a number");
      reflection.SetDouble(&message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool flag = false;
      if (!absl::SimpleAtob(value, &flag)) return Wrong(name, value, "true or false");
      reflection.SetBool(&message, &field, flag);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(name, value, message, field);
    default:
      break;
  }
  Message& part = *reflection.MutableMessage(&message, &field);
  if (IsPosition(field)) {
    auto position = ParsePosition(value);
    if (!position.ok())
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", position.status().message()));
    part.CopyFrom(*position);
  } else {
    auto duration = ParseDuration(value);
    if (!duration.ok()) return Wrong(name, value, "a duration such as 200ms, 30s or 5m");
    part.CopyFrom(*duration);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Fields(const v1::StreamConfig& config) {
  std::vector<std::pair<std::string, std::string>> fields;
  AppendFields(config, "", fields);
  return fields;
}

absl::Status CheckField(const std::string& name) {
  const std::vector<std::string> names = Names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return absl::OkStatus();
  const std::string nearest = Nearest(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("a stream has no field \"", Safe(name), "\": ",
                   nearest.empty() ? absl::StrCat("it has ", absl::StrJoin(names, ", "))
                                   : absl::StrCat("did you mean ", nearest, "?")));
}

absl::Status CheckResettable(const std::string& name) {
  for (const std::string& field : Names()) {
    if (absl::StartsWith(field, name + ".")) return absl::OkStatus();
  }
  return CheckField(name);
}

absl::StatusOr<std::string> SetField(const std::string& assignment, v1::StreamConfig& config) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", Safe(assignment), "\" is no setting: must be FIELD=VALUE, such as batch_size=10"));
  }
  const std::string name = assignment.substr(0, equals);
  if (auto s = CheckField(name); !s.ok()) return s;
  v1::StreamConfig changed = config;
  Message* message = &changed;
  const std::vector<std::string> path = absl::StrSplit(name, '.');
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    message = message->GetReflection()->MutableMessage(
        message, message->GetDescriptor()->FindFieldByName(path[i]));
  }
  const FieldDescriptor& field = *message->GetDescriptor()->FindFieldByName(path.back());
  if (auto s = SetValue(name, assignment.substr(equals + 1), *message, field); !s.ok()) return s;
  config = std::move(changed);
  return name;
}

}  // namespace lowmark::cli
