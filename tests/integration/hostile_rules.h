// What is to become of each value of each request field: written down once more,
// from the contract, without the code that it judges.
#ifndef LOWMARK_TESTS_INTEGRATION_HOSTILE_RULES_H_
#define LOWMARK_TESTS_INTEGRATION_HOSTILE_RULES_H_

#include <functional>
#include <map>
#include <string>

#include "tests/integration/hostile_values.h"

namespace lowmark {

enum class Verdict {
  kRefused,   // INVALID_ARGUMENT naming the field
  kAccepted,  // anything but that
  kEither,    // depends on what else is in the request; if it is refused, by name
};

using Rule = std::function<Verdict(const Probe&)>;

// The rule of every field of every request, by HostileRequest::key. A field that
// is new to the contract needs a row here.
const std::map<std::string, Rule>& HostileRules();

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_HOSTILE_RULES_H_
