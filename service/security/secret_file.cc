#include "service/security/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr size_t kLargest = size_t{1} << 20;

// Up to one byte more than is allowed; false, with errno, where it cannot be read.
bool ReadAll(int fd, std::string& text) {
  char buffer[4096];
  while (text.size() <= kLargest) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) return true;
    text.append(buffer, static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

absl::Status WrongFile(const SecretFile& file, absl::string_view what) {
  // InvalidField would cut a long path.
  return MakeError(absl::StatusCode::kInvalidArgument, kInvalidArgument,
                   absl::StrCat(file.field, " is \"", absl::CHexEscape(file.path), "\": ", what));
}

void SecretsNews::Add(const std::string& what, const absl::StatusOr<bool>& changed) {
  if (!changed.ok()) {
    wrong.push_back(changed.status());
  } else if (*changed) {
    replaced.push_back(what);
  }
}

absl::StatusOr<std::string> ReadSecretFile(const SecretFile& file) {
  // A FIFO that nobody writes to must not be waited for.
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return WrongFile(file, absl::StrCat("cannot be read: ", strerror(errno)));
  struct stat about = {};
  std::string text;
  const bool regular = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  const bool read = regular && ReadAll(fd, text);
  const int error = errno;
  close(fd);
  if (!regular) return WrongFile(file, "must be a file");
  if (!read) return WrongFile(file, absl::StrCat("cannot be read: ", strerror(error)));
  if (text.size() > kLargest) return WrongFile(file, "must have at most 1 MiB");
  return text;
}

absl::StatusOr<std::vector<std::string>> ReadSecretFiles(const std::vector<SecretFile>& files) {
  std::vector<std::string> texts;
  for (const SecretFile& file : files) {
    auto text = ReadSecretFile(file);
    if (!text.ok()) return text.status();
    texts.push_back(*std::move(text));
  }
  return texts;
}

}  // namespace lowmark
