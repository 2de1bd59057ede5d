// Something made of files that may be replaced while the program runs: as
// Kubernetes replaces a mounted secret, and cert-manager a certificate.
//
//   auto tokens = Reloaded<TokenSet>::Create({file}, [](const auto& texts) { ... });
//   if (!tokens.ok()) ...
//   (*tokens)->current()->Has(...);      // on any thread
//   auto changed = (*tokens)->Refresh();  // now and then, on one
//
// What is made stays as long as somebody has it. Files that are wrong never replace
// what was made of good ones.
#ifndef LOWMARK_SERVICE_SECURITY_RELOADED_H_
#define LOWMARK_SERVICE_SECURITY_RELOADED_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "service/process/mutex.h"
#include "service/security/secret_file.h"

namespace lowmark {

template <typename T>
class Reloaded {
 public:
  // Makes it of what the files hold, in their order; INVALID_ARGUMENT where it is of
  // no use.
  using Make = std::function<absl::StatusOr<T>(const std::vector<std::string>& texts)>;

  // INVALID_ARGUMENT where a file cannot be read, or as `make` says.
  static absl::StatusOr<std::unique_ptr<Reloaded>> Create(std::vector<SecretFile> files,
                                                          Make make) {
    std::unique_ptr<Reloaded> reloaded(new Reloaded(std::move(files), std::move(make)));
    if (auto s = reloaded->Load().status(); !s.ok()) return s;
    return reloaded;
  }

  // Thread-safe.
  std::shared_ptr<const T> current() const {
    MutexLock lock(mutex_);
    return current_;
  }

  // Looks at the files again; whether current() is another now. What is wrong with
  // them is said once, at the second look that finds it: several files are not
  // replaced at one instant. On one thread at a time.
  absl::StatusOr<bool> Refresh() {
    auto changed = Load();
    if (changed.ok()) {
      wrong_ = absl::OkStatus();
      return changed;
    }
    looks_ = changed.status() == wrong_ ? looks_ + 1 : 1;
    wrong_ = changed.status();
    if (looks_ == 2) return wrong_;
    return false;
  }

 private:
  Reloaded(std::vector<SecretFile> files, Make make)
      : files_(std::move(files)), make_(std::move(make)) {}

  // Whether it was made anew.
  absl::StatusOr<bool> Load() {
    auto texts = ReadSecretFiles(files_);
    if (!texts.ok()) return texts.status();
    if (*texts == texts_) return false;
    auto made = make_(*texts);
    if (!made.ok()) return made.status();
    texts_ = *std::move(texts);
    auto next = std::make_shared<const T>(*std::move(made));
    MutexLock lock(mutex_);
    current_ = std::move(next);
    return true;
  }

  const std::vector<SecretFile> files_;
  const Make make_;
  std::vector<std::string> texts_;  // of current_
  absl::Status wrong_;
  int64_t looks_ = 0;  // that found `wrong_`, one after the other
  mutable Mutex mutex_;
  std::shared_ptr<const T> current_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_RELOADED_H_
