// Files with certificates, keys and tokens: small, and read as a whole.
#ifndef LOWMARK_SERVICE_SECURITY_SECRET_FILE_H_
#define LOWMARK_SERVICE_SECURITY_SECRET_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lowmark {

// A file, and the option that names it.
struct SecretFile {
  std::string field;  // "tls-cert"
  std::string path;
};

// INVALID_ARGUMENT: "tls-cert is "/path": <what>". Never with what the file holds.
absl::Status WrongFile(const SecretFile& file, absl::string_view what);

// What a file holds, at most 1 MiB; WrongFile where it cannot be read.
absl::StatusOr<std::string> ReadSecretFile(const SecretFile& file);

// All of them, in this order.
absl::StatusOr<std::vector<std::string>> ReadSecretFiles(const std::vector<SecretFile>& files);

// What a look at files that may be replaced has found.
struct SecretsNews {
  std::vector<std::string> replaced;  // "certificates", "token"
  std::vector<absl::Status> wrong;    // what is of no use, each said once

  // Adds what Reloaded::Refresh of one of them said.
  void Add(const std::string& what, const absl::StatusOr<bool>& changed);
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_SECRET_FILE_H_
