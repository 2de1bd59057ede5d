// Errors as values that programs can branch on: an absl::Status whose reason
// travels to the client as google.rpc.ErrorInfo. Texts are for people and may
// change; reasons are the contract.
#ifndef LOWMARK_SERVICE_CORE_ERROR_H_
#define LOWMARK_SERVICE_CORE_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lowmark {

// The reasons, and the status code each of them comes with.
inline constexpr char kInvalidArgument[] = "INVALID_ARGUMENT";          // INVALID_ARGUMENT
inline constexpr char kStreamNotFound[] = "STREAM_NOT_FOUND";           // NOT_FOUND
inline constexpr char kShardNotFound[] = "SHARD_NOT_FOUND";             // NOT_FOUND
inline constexpr char kDeadLetterNotFound[] = "DEAD_LETTER_NOT_FOUND";  // NOT_FOUND
inline constexpr char kWorkerNotFound[] = "WORKER_NOT_FOUND";           // NOT_FOUND
inline constexpr char kStreamExists[] = "STREAM_EXISTS";                // ALREADY_EXISTS
inline constexpr char kLeaseFenced[] = "LEASE_FENCED";                  // ABORTED
inline constexpr char kStaleDelivery[] = "STALE_DELIVERY";              // ABORTED
inline constexpr char kSessionExpired[] = "SESSION_EXPIRED";            // ABORTED
inline constexpr char kEtagMismatch[] = "ETAG_MISMATCH";                // ABORTED
inline constexpr char kShardDone[] = "SHARD_DONE";                      // FAILED_PRECONDITION
inline constexpr char kUnavailable[] = "UNAVAILABLE";                   // UNAVAILABLE
inline constexpr char kInternal[] = "INTERNAL";                         // INTERNAL

// An error with its reason.
absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message);

// INVALID_ARGUMENT: "<field> is <value>: <allowed>". `value` is quoted,
// shortened and stripped of control characters, whatever it holds.
absl::Status InvalidField(absl::string_view field, absl::string_view value,
                          absl::string_view allowed);
absl::Status InvalidField(absl::string_view field, int64_t value, absl::string_view allowed);

// InvalidField unless `value` lies between the bounds, or is one of them.
absl::Status CheckDuration(absl::string_view field, absl::Duration value, absl::Duration low,
                           absl::Duration high);

// ABORTED with kLeaseFenced, kStaleDelivery or kSessionExpired.
absl::Status Aborted(absl::string_view reason, absl::string_view message);

// NOT_FOUND for a stream, or for a shard or a live worker of it.
absl::Status StreamNotFound(absl::string_view stream);
absl::Status ShardNotFound(absl::string_view stream, absl::string_view shard);
absl::Status WorkerNotFound(absl::string_view stream, absl::string_view worker);

// UNAVAILABLE: the client is to retry.
absl::Status Unavailable(absl::string_view message);

// The reason of an error made here; for any other the name of its code. Empty
// for OK.
std::string Reason(const absl::Status& status);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_ERROR_H_
