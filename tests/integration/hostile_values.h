// Walks a request by reflection and gives each of its fields, one at a time, the
// values that a careless or hostile client might send.
//
//   ForEachHostile(good_request, [&](const HostileRequest& hostile) {
//     const Verdict verdict = Judge(hostile);  // hostile_check.h
//     ... call(*hostile.request) ...
//   });
#ifndef LOWMARK_TESTS_INTEGRATION_HOSTILE_VALUES_H_
#define LOWMARK_TESTS_INTEGRATION_HOSTILE_VALUES_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace lowmark {

// What a field was given.
struct Probe {
  enum class Kind {
    kText,     // a string, or bytes
    kNumber,   // an integer, an enum, a bool
    kReal,     // a double
    kEntries,  // a repeated field with `number` copies of its first entry
    kAbsent,   // a message or oneof that is not set
    kSpan,     // a Duration or Timestamp of `number` seconds and `nanos`
  };

  Kind kind = Kind::kAbsent;
  std::string text = {};
  int64_t number = 0;
  double real = 0;
  int32_t nanos = 0;

  // For failure messages.
  std::string ToString() const;
};

struct HostileRequest {
  // The field by its message: "lowmark.v1.LeaseShardRequest.stream", with "[]"
  // for an entry of a repeated field.
  std::string key;
  // The name that an error has to say.
  std::string name;
  Probe probe;
  std::unique_ptr<google::protobuf::Message> request;
};

// `good` holds every message and repeated field that is to be looked into; of a
// oneof the case that is set. Well-known types count as values.
void ForEachHostile(const google::protobuf::Message& good,
                    const std::function<void(const HostileRequest&)>& visit);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_HOSTILE_VALUES_H_
