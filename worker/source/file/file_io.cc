#include "worker/source/file/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr int64_t kWindowBytes = int64_t{256} << 10;

}  // namespace

absl::Status FileError(absl::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ", strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case ESTALE:
      return absl::UnavailableError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  // Not to be held up by a pipe of that name.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("cannot open", path, errno);
  InputFile file(path, fd, 0);
  struct stat info;
  if (fstat(fd, &info) != 0) return FileError("cannot look at", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  file.size_ = info.st_size;
  return file;
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(other.fd_),
      size_(other.size_),
      base_(other.base_),
      window_(std::move(other.window_)) {
  other.fd_ = -1;
}

absl::StatusOr<int64_t> InputFile::FindNewline(int64_t from, int64_t limit) {
  while (from < limit) {
    const bool inside = from >= base_ && from < base_ + static_cast<int64_t>(window_.size());
    if (!inside) {
      if (auto s = Load(from, std::min(kWindowBytes, size_ - from)); !s.ok()) return s;
    }
    const char* start = window_.data() + (from - base_);
    const int64_t length = std::min(base_ + static_cast<int64_t>(window_.size()), limit) - from;
    if (const void* found = memchr(start, '\n', length)) {
      return from + (static_cast<const char*>(found) - start);
    }
    from += length;
  }
  return -1;
}

absl::StatusOr<absl::string_view> InputFile::Bytes(int64_t from, int64_t to) {
  if (from < base_ || to > base_ + static_cast<int64_t>(window_.size())) {
    const int64_t length = std::min(std::max(kWindowBytes, to - from), size_ - from);
    if (auto s = Load(from, length); !s.ok()) return s;
  }
  return absl::string_view(window_).substr(from - base_, to - from);
}

absl::Status InputFile::Load(int64_t from, int64_t length) {
  base_ = from;
  window_.resize(length);
  int64_t done = 0;
  while (done < length) {
    const ssize_t got = pread(fd_, window_.data() + done, length - done, from + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      window_.clear();
      if (got < 0) return FileError("cannot read", path_, errno);
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " became shorter while it was read"));
    }
    done += got;
  }
  return absl::OkStatus();
}

}  // namespace lowmark
