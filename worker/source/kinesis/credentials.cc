#include "worker/source/kinesis/credentials.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

// Fetched anew this long before they expire, as AWS' own tools do.
constexpr absl::Duration kRefreshBefore = absl::Minutes(5);
// Not used any more this long before: a request takes its time.
constexpr absl::Duration kMargin = absl::Seconds(10);
// The pause after a refresh that failed.
constexpr absl::Duration kRetryRefresh = absl::Seconds(15);

constexpr char kNone[] =
    "no AWS credentials: neither given, nor in the environment (AWS_ACCESS_KEY_ID), by web "
    "identity, in the shared credentials file, from a container's endpoint or the machine's "
    "metadata";

}  // namespace

Credentials::Credentials(std::vector<std::unique_ptr<CredentialPlace>> places,
                         std::function<absl::Time()> now)
    : places_(std::move(places)), now_(now ? std::move(now) : [] { return absl::Now(); }) {}

absl::StatusOr<AwsCredentials> Credentials::Get() {
  if (auto there = Begin()) return *std::move(there);
  return End(Fetch());
}

std::optional<absl::StatusOr<AwsCredentials>> Credentials::Begin() {
  MutexLock lock(mutex_);
  bool waited = false;
  while (true) {
    const absl::Time now = now_();
    const bool usable = current_ && now < current_->expiration - kMargin;
    if (usable && (fetching_ || now < fetch_after_)) return *current_;
    if (!fetching_) {
      // Who waited in vain does not try again: so would all who waited, one by one.
      if (waited && !usable) return problem_;
      fetching_ = true;
      return std::nullopt;
    }
    waited = true;
    fetched_.Wait(mutex_);
  }
}

absl::StatusOr<AwsCredentials> Credentials::End(absl::StatusOr<AwsCredentials> fetched) {
  MutexLock lock(mutex_);
  const absl::Time now = now_();
  fetching_ = false;
  fetched_.NotifyAll();
  if (fetched.ok()) {
    current_ = *fetched;
    fetch_after_ = std::max(fetched->expiration - kRefreshBefore, now + kRetryRefresh);
    // For those who waited for it, where it is of no use, or AWS has refused it by now.
    problem_ = absl::UnavailableError(
        now < fetched->expiration - kMargin
            ? "AWS credentials: those that were fetched last were refused"
            : absl::StrCat("AWS credentials: those that were fetched expire at ",
                           absl::FormatTime(fetched->expiration),
                           ": is this machine's clock right?"));
    return fetched;
  }
  problem_ = fetched.status();
  fetch_after_ = now + kRetryRefresh;
  if (current_ && now < current_->expiration - kMargin) return *current_;
  return fetched;
}

absl::StatusOr<AwsCredentials> Credentials::Fetch() {
  for (const auto& place : places_) {
    auto fetched = place->Fetch();
    if (absl::IsNotFound(fetched.status())) continue;
    if (fetched.ok()) return fetched;
    const std::string message = absl::StrCat("AWS credentials: ", fetched.status().message());
    return absl::IsUnavailable(fetched.status()) ? absl::UnavailableError(message)
                                                 : absl::UnauthenticatedError(message);
  }
  return absl::UnauthenticatedError(kNone);
}

void Credentials::Drop(const AwsCredentials& refused) {
  MutexLock lock(mutex_);
  if (current_ && *current_ == refused) current_.reset();
}

}  // namespace lowmark
