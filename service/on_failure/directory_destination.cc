#include "service/on_failure/directory_destination.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

// Leftovers of so many earlier tries are looked for.
constexpr int64_t kEarlierTries = 10;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Whatever is wrong with a directory is wrong for all documents, but a name that is
// too long.
absl::Status Failure(const std::string& what, int error) {
  if (error == ENAMETOOLONG) return absl::ErrnoToStatus(error, what);
  return absl::UnavailableError(absl::ErrnoToStatus(error, what).message());
}

// The directory `path` below `root`, made, durably, where it is missing. No component
// may be a symbolic link: those could lead out of the root.
absl::StatusOr<Descriptor> OpenDirectory(const std::string& root, const std::string& path) {
  constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Descriptor at(open(root.c_str(), kDirectory));
  if (!at.ok()) return Failure(absl::StrCat("cannot open ", root), errno);
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    const std::string component(part);
    const bool made = mkdirat(at.get(), component.c_str(), 0777) == 0;
    if (made ? fsync(at.get()) != 0 : errno != EEXIST) {
      return Failure(absl::StrCat("cannot make ", root, "/", path), errno);
    }
    Descriptor next(openat(at.get(), component.c_str(), kDirectory | O_NOFOLLOW));
    if (!next.ok()) return Failure(absl::StrCat("cannot open ", root, "/", path), errno);
    at = std::move(next);
  }
  return at;
}

bool WriteAll(int fd, const std::string& text) {
  for (size_t written = 0; written < text.size();) {
    const ssize_t bytes = write(fd, text.data() + written, text.size() - written);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return false;
    written += static_cast<size_t>(bytes);
  }
  return true;
}

std::string TemporaryName(const std::string& name, int64_t claim) {
  return absl::StrCat(".", name, ".", claim);
}

absl::Status Write(const Descriptor& directory, const Document& document) {
  const std::string name = absl::StrCat(absl::StrReplaceAll(document.key, {{"/", "."}}), ".json");
  const std::string temporary = TemporaryName(name, document.claim);
  Descriptor file(openat(directory.get(), temporary.c_str(),
                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file.ok()) return Failure(absl::StrCat("cannot create ", temporary), errno);
  const bool written =
      WriteAll(file.get(), document.text + "\n") && fsync(file.get()) == 0 &&
      renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) == 0 &&
      fsync(directory.get()) == 0;
  if (!written) {
    const int error = errno;
    unlinkat(directory.get(), temporary.c_str(), 0);
    return Failure(absl::StrCat("cannot write ", name), error);
  }
  // What a coordinator that was killed left.
  for (int64_t claim = document.claim - 1; claim >= document.claim - kEarlierTries && claim > 0;
       --claim) {
    unlinkat(directory.get(), TemporaryName(name, claim).c_str(), 0);
  }
  return absl::OkStatus();
}

}  // namespace

DirectoryDestination::DirectoryDestination(std::string root, std::string path)
    : root_(std::move(root)), path_(std::move(path)) {}

std::vector<absl::Status> DirectoryDestination::Send(const std::vector<Document>& documents,
                                                     absl::Duration patience) {
  const SteadyTime until = SteadyDeadline(patience);
  std::vector<absl::Status> answers(documents.size(), absl::CancelledError("not tried"));
  auto directory = OpenDirectory(root_, path_);
  for (size_t i = 0; i < documents.size(); ++i) {
    if (stop().stopping() || SteadyDeadline(absl::ZeroDuration()) >= until) break;
    answers[i] = directory.ok() ? Write(*directory, documents[i]) : directory.status();
    if (absl::IsUnavailable(answers[i])) break;
  }
  return answers;
}

}  // namespace lowmark
