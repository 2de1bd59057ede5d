// How large one message may be. Both ends of the wire hold to it: the server as
// the most that it receives, clients as the most that they send or receive.
#ifndef LOWMARK_SERVICE_RPC_MESSAGE_SIZE_H_
#define LOWMARK_SERVICE_RPC_MESSAGE_SIZE_H_

#include <cstddef>
#include <cstdint>

#include "service/core/policy.h"

namespace lowmark {

// The data of the largest batch that a policy allows, and room for what names
// its records: 10,000 of them, their sequence numbers listed up to three times
// and their partition keys once. 80 MiB.
inline constexpr int kLargestMessage = static_cast<int>(Policy::kLargestBatchBytes) + (16 << 20);

// What a record may have of headers.
inline constexpr int kMostHeaders = 1000;
inline constexpr size_t kLongestHeaders = size_t{1} << 20;

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_MESSAGE_SIZE_H_
