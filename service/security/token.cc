#include "service/security/token.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lowmark {
namespace {

constexpr size_t kMostTokens = 32;
constexpr absl::string_view kOthers = "-._~+/=";

bool IsToken68(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           kOthers.find(c) != absl::string_view::npos;
  });
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseTokens(const SecretFile& file,
                                                     absl::string_view text) {
  std::vector<std::string> tokens;
  int line = 0;
  for (absl::string_view token : absl::StrSplit(text, '\n')) {
    ++line;
    token = absl::StripAsciiWhitespace(token);
    if (token.empty() || absl::StartsWith(token, "#")) continue;
    if (token.size() < kShortestToken || token.size() > kLongestToken || !IsToken68(token)) {
      return WrongFile(
          file, absl::StrCat("line ", line, " is no token: it must be ", kShortestToken, "..",
                             kLongestToken, " of the characters A-Z a-z 0-9 - . _ ~ + / ="));
    }
    tokens.emplace_back(token);
  }
  if (tokens.empty()) return WrongFile(file, "holds no token: it must have one a line");
  if (tokens.size() > kMostTokens) {
    return WrongFile(file, absl::StrCat("must have at most ", kMostTokens, " tokens"));
  }
  return tokens;
}

TokenSet::TokenSet(const std::vector<std::string>& tokens) {
  for (const std::string& token : tokens) {
    Padded padded;
    std::copy(token.begin(), token.end(), padded.bytes.begin());
    padded.size = token.size();
    tokens_.push_back(padded);
  }
}

bool TokenSet::Has(absl::string_view presented) const {
  if (presented.size() > kLongestToken) return false;
  unsigned found = 0;
  for (const Padded& token : tokens_) {
    // Each is compared to its end, also after one was found.
    const int different = CRYPTO_memcmp(token.bytes.data(), presented.data(), presented.size());
    found |= static_cast<unsigned>(different == 0) &
             static_cast<unsigned>(token.size == presented.size());
  }
  return found != 0;
}

}  // namespace lowmark
