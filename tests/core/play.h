// What a shard's play looks like from outside, in ordinals: record 1 is the
// first of the shard. Two ways lead to a Play, and the tests compare them: the
// oracle says what the rules ask for, the simulated shard what the core does.
#ifndef LOWMARK_TESTS_CORE_PLAY_H_
#define LOWMARK_TESTS_CORE_PLAY_H_

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace lowmark {

// What a scripted handler does with a delivery.
struct Answer {
  enum class Kind { kSuccess, kRaise, kReport, kDie };
  Kind kind = Kind::kSuccess;
  std::vector<int> failed;  // kReport; 0 stands for a record that does not exist
};

// Called once for each delivery, with the records of its batch.
using ScriptedHandler = std::function<Answer(const std::vector<int>& batch)>;

// One delivery.
struct Delivered {
  std::vector<int> records;
  int batch = 0;           // 1 for the first batch id seen, 2 for the next, ...
  bool backoff = false;    // it came after a pause
  bool declared = false;   // it had to be declared
  std::string checkpoint;  // after its report; after the next lease where it was lost

  bool operator==(const Delivered&) const = default;
};

// One dead letter.
struct SetAsideRecords {
  int first = 0;
  int last = 0;
  int count = 0;
  int attempts = 0;

  bool operator==(const SetAsideRecords&) const = default;
};

struct Play {
  std::vector<Delivered> deliveries;
  std::vector<SetAsideRecords> dead_letters;
  bool drained = true;  // false: stopped at the limit of deliveries

  bool operator==(const Play&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Play& play) {
  for (const Delivered& d : play.deliveries) {
    out << "\n  #" << d.batch << " [";
    for (int record : d.records) out << " " << record;
    out << " ]" << (d.backoff ? " backoff" : "") << (d.declared ? " declared" : "") << " -> "
        << d.checkpoint;
  }
  for (const SetAsideRecords& d : play.dead_letters) {
    out << "\n  dead " << d.first << ".." << d.last << " (" << d.count << ") after " << d.attempts;
  }
  return out << (play.drained ? "\n  drained\n" : "\n  not drained\n");
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_CORE_PLAY_H_
