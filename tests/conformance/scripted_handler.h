// The handler of a case: its rules, tried in order for each delivery.
#ifndef LOWMARK_TESTS_CONFORMANCE_SCRIPTED_HANDLER_H_
#define LOWMARK_TESTS_CONFORMANCE_SCRIPTED_HANDLER_H_

#include <optional>
#include <vector>

#include "tests/conformance/case.h"
#include "worker/handler.h"

namespace lowmark::conformance {

// How `when_has` with several records is read. The format leaves it open, so a
// case that names several must hold in one of the two readings.
enum class Reading { kAnyOf, kAllOf };

// Whether the two readings could differ for this case.
bool IsAmbiguous(const Case& c);

class ScriptedHandler {
 public:
  ScriptedHandler(const Case& c, Reading reading)
      : case_(c), reading_(reading), matches_(c.handler.size(), 0) {}

  // What the handler makes of the next delivery; nothing where its worker dies
  // with it.
  std::optional<HandlerResult> Process(const std::vector<int>& batch);

 private:
  bool Matches(const Rule& rule, int matched, const std::vector<int>& batch) const;
  std::optional<HandlerResult> Act(const Rule& rule, const std::vector<int>& batch) const;
  std::vector<std::string> Names(const std::vector<int>& records) const;

  const Case& case_;
  const Reading reading_;
  int deliveries_ = 0;
  std::vector<int> matches_;  // of each rule
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_SCRIPTED_HANDLER_H_
