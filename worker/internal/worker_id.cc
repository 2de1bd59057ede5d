#include "worker/internal/worker_id.h"

#include <unistd.h>

#include <array>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

constexpr size_t kMaxHostBytes = 64;

}  // namespace

std::string MakeWorkerId(absl::string_view host) {
  std::string id;
  for (char c : host.substr(0, kMaxHostBytes)) {
    const bool allowed = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                         c == '_' || c == ':' || c == '-';
    id += allowed ? c : '-';
  }
  if (id.empty()) id = "worker";
  std::random_device random;  // getrandom(2) or rdrand
  id += '-';
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", random());
  return id;
}

std::string MakeWorkerId() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return MakeWorkerId(host.data());
}

}  // namespace lowmark
