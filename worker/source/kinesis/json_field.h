// Members of JSON that somebody else wrote: any of them may be missing, or be of
// another type.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_JSON_FIELD_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_JSON_FIELD_H_

#include <string>

#include "nlohmann/json.hpp"

namespace lowmark {

// The member's text; empty where it is no text, or there is none.
inline std::string JsonText(const nlohmann::json& json, const char* name) {
  if (!json.is_object()) return "";
  const auto member = json.find(name);
  return member != json.end() && member->is_string() ? member->get<std::string>() : "";
}

// The member's number; 0 where it is no number, or there is none.
inline double JsonNumber(const nlohmann::json& json, const char* name) {
  if (!json.is_object()) return 0;
  const auto member = json.find(name);
  return member != json.end() && member->is_number() ? member->get<double>() : 0;
}

// The member; null where there is none.
inline const nlohmann::json& JsonMember(const nlohmann::json& json, const char* name) {
  static const nlohmann::json kNull;
  if (!json.is_object()) return kNull;
  const auto member = json.find(name);
  return member != json.end() ? *member : kNull;
}

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_JSON_FIELD_H_
