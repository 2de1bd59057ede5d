// The policy of a case: fields of StreamConfig over the `lambda` preset.
#ifndef LOWMARK_TESTS_CONFORMANCE_POLICY_FIELDS_H_
#define LOWMARK_TESTS_CONFORMANCE_POLICY_FIELDS_H_

#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/status/status.h"
#include "service/core/policy.h"

namespace lowmark::conformance {

// Only the form is checked; whether the values are allowed is for the rules.
absl::Status Parse(const YAML::Node& node, const std::string& where, Policy& out);

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_POLICY_FIELDS_H_
