#include "tests/integration/hostile_values.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::vector<std::string> Texts() {
  return {"",
          std::string(128, 'a'),
          std::string(129, 'a'),
          std::string(10'000, 'a'),
          std::string("a\0b", 3),
          std::string(1, '\0'),
          "\n",
          "a\nb",
          "\t",
          "\x01",
          "\x7f",
          "\x1b[2J",
          " ",
          " a",
          "a ",
          "'; DROP TABLE shards; --",
          "\"",
          "\\",
          "{}",
          "%s%n",
          "$1",
          "\xc3\xa9",          // é
          "\xe2\x98\x83",      // a snowman
          "\xf0\x9f\x92\xa9",  // beyond 16 bits
          "\xe2\x80\xae",      // right to left
          "a/b",
          "../a",
          "*",
          "-1",
          "+1",
          "01",
          "1e3",
          "0x1",
          "9223372036854775808",
          std::string(128, '9'),
          std::string(129, '9')};
}

std::vector<std::string> Bytes() {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  return {"",         std::string(1, '\0'),     all,
          "\xff\xfe", std::string(65'536, 'x'), std::string(65'537, 'x')};
}

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int32_t kMost32 = std::numeric_limits<int32_t>::max();
constexpr int32_t kLeast32 = std::numeric_limits<int32_t>::min();

std::vector<std::pair<int64_t, int32_t>> Spans() {
  return {{0, 0},       {-1, 0},
          {1, 0},       {1'000'000, 0},
          {kMost, 0},   {kLeast, 0},
          {0, -1},      {0, 1'000'000'000},
          {0, kMost32}, {0, kLeast32},
          {1, -1},      {-1, 1},
          {60, 1},      {315'576'000'001, 0}};
}

bool IsSpan(const FieldDescriptor& field) {
  return field.message_type() == google::protobuf::Duration::descriptor() ||
         field.message_type() == google::protobuf::Timestamp::descriptor();
}

// One step into a message: a field, and where it is repeated an index.
struct Step {
  const FieldDescriptor* field;
  std::optional<int> index;
};

class Walker {
 public:
  Walker(const Message& root, const std::function<void(const HostileRequest&)>& visit)
      : root_(root), visit_(visit) {}

  void Walk(const Message& message) {
    const auto* descriptor = message.GetDescriptor();
    for (int i = 0; i < descriptor->real_oneof_decl_count(); ++i) {
      const auto* oneof = descriptor->oneof_decl(i);
      Emit(absl::StrCat(descriptor->full_name(), ".", oneof->name()), NameOf(oneof->name()),
           {.kind = Probe::Kind::kAbsent},
           [oneof](Message& m) { m.GetReflection()->ClearOneof(&m, oneof); });
    }
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor& field = *descriptor->field(i);
      const bool other_case = field.real_containing_oneof() != nullptr &&
                              !message.GetReflection()->HasField(message, &field);
      if (!other_case) WalkField(message, field);
    }
  }

 private:
  using Change = std::function<void(Message&)>;

  // What a part of a message without a name of its own is called: a oneof, the paths
  // of a mask, or a key or value of a map.
  std::string NameOf(const std::string& name) const {
    return path_.empty() ? name : path_.back().field->name();
  }

  std::string NameOfField(const FieldDescriptor& field) const {
    const bool nameless = field.containing_type() == google::protobuf::FieldMask::descriptor() ||
                          field.containing_type()->options().map_entry();
    return nameless ? NameOf(field.name()) : field.name();
  }

  void WalkField(const Message& message, const FieldDescriptor& field) {
    if (field.is_repeated()) {
      WalkRepeated(message, field);
    } else if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      WalkScalar(field, std::nullopt);
    } else {
      const auto* oneof = field.real_containing_oneof();
      Emit(field.full_name(), oneof == nullptr ? field.name() : NameOf(oneof->name()),
           {.kind = Probe::Kind::kAbsent},
           [&field](Message& m) { m.GetReflection()->ClearField(&m, &field); });
      if (IsSpan(field)) {
        WalkSpan(field);
      } else if (message.GetReflection()->HasField(message, &field)) {
        path_.push_back({&field, std::nullopt});
        Walk(message.GetReflection()->GetMessage(message, &field));
        path_.pop_back();
      }
    }
  }

  void WalkRepeated(const Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    if (reflection.FieldSize(message, &field) == 0) return;
    for (int count : {0, 101, 10'001}) {
      Emit(field.full_name(), NameOfField(field), {.kind = Probe::Kind::kEntries, .number = count},
           [&field, count](Message& m) { Repeat(m, field, count); });
    }
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      WalkScalar(field, 0);
      return;
    }
    path_.push_back({&field, 0});
    Walk(reflection.GetRepeatedMessage(message, &field, 0));
    path_.pop_back();
  }

  static void Repeat(Message& message, const FieldDescriptor& field, int count) {
    const Reflection& reflection = *message.GetReflection();
    std::unique_ptr<Message> good(message.New());
    good->CopyFrom(message);
    reflection.ClearField(&message, &field);
    for (int i = 0; i < count; ++i) {
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        reflection.AddMessage(&message, &field)
            ->CopyFrom(reflection.GetRepeatedMessage(*good, &field, 0));
      } else {
        reflection.AddString(&message, &field, reflection.GetRepeatedString(*good, &field, 0));
      }
    }
  }

  void WalkSpan(const FieldDescriptor& field) {
    for (const auto& [seconds, nanos] : Spans()) {
      Emit(field.full_name(), field.name(),
           {.kind = Probe::Kind::kSpan, .number = seconds, .nanos = nanos},
           [&field, seconds = seconds, nanos = nanos](Message& m) {
             Message* span = m.GetReflection()->MutableMessage(&m, &field);
             span->GetReflection()->SetInt64(span, span->GetDescriptor()->field(0), seconds);
             span->GetReflection()->SetInt32(span, span->GetDescriptor()->field(1), nanos);
           });
    }
  }

  void WalkScalar(const FieldDescriptor& field, std::optional<int> index) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        for (const std::string& text :
             field.type() == FieldDescriptor::TYPE_BYTES ? Bytes() : Texts()) {
          EmitScalar(field, index, {.kind = Probe::Kind::kText, .text = text});
        }
        return;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        for (double real : {0.0, 0.5, 1.0, -1.0, 10.000001, 1e308, static_cast<double>(NAN),
                            static_cast<double>(INFINITY), static_cast<double>(-INFINITY)}) {
          EmitScalar(field, index, {.kind = Probe::Kind::kReal, .real = real});
        }
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        for (int64_t number : {int64_t{0}, int64_t{1}, int64_t{-1}, kMost, kLeast}) {
          EmitScalar(field, index, {.kind = Probe::Kind::kNumber, .number = number});
        }
        return;
      default:  // int32, enum, bool
        for (int32_t number : {0, 1, -1, -2, 5, 99, 1001, 10'001, kMost32, kLeast32}) {
          EmitScalar(field, index, {.kind = Probe::Kind::kNumber, .number = number});
        }
    }
  }

  void EmitScalar(const FieldDescriptor& field, std::optional<int> index, const Probe& probe) {
    const std::string key = absl::StrCat(field.full_name(), index ? "[]" : "");
    Emit(key, NameOfField(field), probe, [&field, index, probe](Message& m) {
      const Reflection& reflection = *m.GetReflection();
      const auto number = static_cast<int32_t>(probe.number);
      switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          if (index) {
            reflection.SetRepeatedString(&m, &field, *index, probe.text);
          } else {
            reflection.SetString(&m, &field, probe.text);
          }
          return;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          return reflection.SetDouble(&m, &field, probe.real);
        case FieldDescriptor::CPPTYPE_INT64:
          return reflection.SetInt64(&m, &field, probe.number);
        case FieldDescriptor::CPPTYPE_ENUM:
          return reflection.SetEnumValue(&m, &field, number);
        case FieldDescriptor::CPPTYPE_BOOL:
          return reflection.SetBool(&m, &field, number != 0);
        default:
          return reflection.SetInt32(&m, &field, number);
      }
    });
  }

  void Emit(const std::string& key, const std::string& name, const Probe& probe,
            const Change& change) {
    HostileRequest hostile{key, name, probe, std::unique_ptr<Message>(root_.New())};
    hostile.request->CopyFrom(root_);
    Message* message = hostile.request.get();
    for (const Step& step : path_) {
      const Reflection& reflection = *message->GetReflection();
      message = step.index ? reflection.MutableRepeatedMessage(message, step.field, *step.index)
                           : reflection.MutableMessage(message, step.field);
    }
    change(*message);
    visit_(hostile);
  }

  const Message& root_;
  const std::function<void(const HostileRequest&)>& visit_;
  std::vector<Step> path_;
};

}  // namespace

std::string Probe::ToString() const {
  switch (kind) {
    case Kind::kText:
      return absl::StrCat(text.size(), " bytes \"", absl::CHexEscape(text.substr(0, 40)), "\"");
    case Kind::kNumber:
      return absl::StrCat(number);
    case Kind::kReal:
      return absl::StrCat(real);
    case Kind::kEntries:
      return absl::StrCat(number, " entries");
    case Kind::kAbsent:
      return "absent";
    case Kind::kSpan:
      return absl::StrCat(number, " s ", nanos, " ns");
  }
  return "";
}

void ForEachHostile(const Message& good, const std::function<void(const HostileRequest&)>& visit) {
  Walker(good, visit).Walk(good);
}

}  // namespace lowmark
