#include "service/on_failure/options.h"

#include "absl/strings/match.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

absl::Status CheckAbsolute(const char* option, const std::string& path) {
  if (path.empty() || absl::StartsWith(path, "/")) return absl::OkStatus();
  return InvalidField(option, path, "must be an absolute path");
}

}  // namespace

absl::Status DestinationOptions::Validate() const {
  if (auto s = CheckAbsolute("on-failure-directory-root", directory_root); !s.ok()) return s;
  return CheckAbsolute("on-failure-secrets", secrets);
}

absl::Status DestinationOptions::Check(const OnFailure& on_failure) const {
  if (const auto* directory = std::get_if<OnFailure::Directory>(&on_failure.destination);
      directory != nullptr && directory_root.empty()) {
    return InvalidField("config.on_failure.directory.path", directory->path,
                        "cannot be used: the coordinator runs without --on-failure-directory-root");
  }
  if (on_failure.UsesSecrets() && secrets.empty()) {
    return InvalidField("config.on_failure", "${secret:...}",
                        "cannot be used: the coordinator runs without --on-failure-secrets");
  }
  return absl::OkStatus();
}

}  // namespace lowmark
