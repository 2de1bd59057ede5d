// Where AWS credentials come from, and how they are kept fresh.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_CREDENTIALS_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_CREDENTIALS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"
#include "worker/source/kinesis/http_client.h"

namespace lowmark {

// A variable of the environment; empty where it is not set.
using Environment = std::function<std::string(const std::string& name)>;

// One place that credentials may come from.
class CredentialPlace {
 public:
  virtual ~CredentialPlace() = default;

  // Credentials from there. NOT_FOUND where the place is not in use here, so that the
  // next one is asked; any other error says what is wrong with it, and ends the search:
  // who set a place up does not want another to be used. UNAVAILABLE: trouble that will pass.
  virtual absl::StatusOr<AwsCredentials> Fetch() = 0;
};

struct CredentialOptions {
  // Used as they are, where not empty, and nothing else is.
  AwsCredentials fixed = {};
  // Of the shared files; empty: AWS_PROFILE, else "default".
  std::string profile = {};
  // Where STS is asked.
  std::string region = {};
  Environment environment = {};
};

// All places, in the order in which AWS' own tools ask them: what the options hold, the
// environment, web identity, the shared credentials file, the container's endpoint, the
// machine's metadata. `http` outlives them.
std::vector<std::unique_ptr<CredentialPlace>> CredentialPlaces(const CredentialOptions& options,
                                                               HttpClient& http);

// Credentials of the first place that has some, fetched again before they expire. Thread
// safe: one thread fetches, the others use what there is while it is valid.
class Credentials {
 public:
  // `now` is the clock; absl::Now where empty.
  explicit Credentials(std::vector<std::unique_ptr<CredentialPlace>> places,
                       std::function<absl::Time()> now = {});

  // Valid ones. UNAUTHENTICATED where no place has any, or one is set up wrong;
  // UNAVAILABLE where a place has trouble that will pass.
  absl::StatusOr<AwsCredentials> Get();
  // Those that Get returned were refused: they are not used again.
  void Drop(const AwsCredentials& refused);

 private:
  // What there is; nullopt where the caller is to fetch, and to call End.
  std::optional<absl::StatusOr<AwsCredentials>> Begin();
  absl::StatusOr<AwsCredentials> End(absl::StatusOr<AwsCredentials> fetched);
  absl::StatusOr<AwsCredentials> Fetch();

  const std::vector<std::unique_ptr<CredentialPlace>> places_;
  const std::function<absl::Time()> now_;
  Mutex mutex_;
  CondVar fetched_;
  bool fetching_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::optional<AwsCredentials> current_ LOWMARK_GUARDED_BY(mutex_);
  // Why there are none.
  absl::Status problem_ LOWMARK_GUARDED_BY(mutex_);
  // No place is asked before, where what there is can be used still.
  absl::Time fetch_after_ LOWMARK_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_CREDENTIALS_H_
