// A policy's OnFailure as it is stored; a part of policy_json.h.
#ifndef LOWMARK_STORE_POSTGRES_ON_FAILURE_JSON_H_
#define LOWMARK_STORE_POSTGRES_ON_FAILURE_JSON_H_

#include <nlohmann/json_fwd.hpp>

#include "service/core/on_failure.h"

namespace lowmark {

// {"http": {...}, "timeout": "10s", ...}: the key of the destination, which
// statements look for, is its kind. No key where there is none.
nlohmann::json OnFailureToJson(const OnFailure& on_failure);

// What is missing has its default. Throws what nlohmann::json does, or
// std::runtime_error, where it is not of that form.
OnFailure OnFailureFromJson(const nlohmann::json& object);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_ON_FAILURE_JSON_H_
