// Reading a file that something else appends to.
#ifndef LOWMARK_WORKER_SOURCE_FILE_FILE_IO_H_
#define LOWMARK_WORKER_SOURCE_FILE_FILE_IO_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lowmark {

// The error of a failed system call on `path`. UNAVAILABLE where it is likely to
// pass (too many open files, a disk error), else NOT_FOUND, PERMISSION_DENIED or
// FAILED_PRECONDITION.
absl::Status FileError(absl::string_view what, const std::string& path, int error);

// A regular file, open for reading, with the size it had when it was opened.
// Reads through a window, so that going forward in small steps is cheap.
class InputFile {
 public:
  static absl::StatusOr<InputFile> Open(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }

  // Where the first newline in [from, limit) is; -1 where there is none.
  absl::StatusOr<int64_t> FindNewline(int64_t from, int64_t limit);
  // The bytes [from, to), valid until the next call.
  absl::StatusOr<absl::string_view> Bytes(int64_t from, int64_t to);

 private:
  InputFile(std::string path, int fd, int64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}
  absl::Status Load(int64_t from, int64_t length);

  std::string path_;
  int fd_;
  int64_t size_;
  int64_t base_ = 0;  // where in the file window_ starts
  std::string window_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_FILE_FILE_IO_H_
