// The part of the contract of store.h that is about dead letters on their way to a
// destination; as store_contract.h.
#ifndef LOWMARK_TESTS_STORE_OUTBOX_CONTRACT_H_
#define LOWMARK_TESTS_STORE_OUTBOX_CONTRACT_H_

#include <string>
#include <vector>

#include "tests/store/store_contract.h"

namespace lowmark {

// The stream "s" has a destination.
class OutboxContract : public StoreContract {
 public:
  void SetUp() override;

  void SetDestination(const decltype(OnFailure::destination)& destination,
                      int64_t maximum_data_bytes = 0, const std::string& stream = "s");
  // Has the first `count` records of a new shard set aside, each by itself.
  void SetAsideRecords(const std::string& shard, int count, const std::string& stream = "s");
  std::vector<Outbox> MustList();
  std::vector<ClaimedLetter> MustClaim(int32_t limit, absl::Duration lease = absl::Minutes(2),
                                       const std::string& stream = "s");
  void Settle(const ClaimedLetter& letter, ForwardResult::Kind kind, const std::string& error = "",
              absl::Duration pause = absl::ZeroDuration());
  Forwarding MustGetForwarding(int64_t id);
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_STORE_OUTBOX_CONTRACT_H_
