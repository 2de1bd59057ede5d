// Bearer tokens in files: one a line; empty lines, and those that begin with #, are
// for people. A token is 16 to 256 of the characters A-Z a-z 0-9 - . _ ~ + / =.
//
// The same file serves both sides: a server accepts all of its tokens, a client
// sends the first. So a token is replaced without a call that fails: add the new one
// at the end, move it to the front, and remove the old one.
#ifndef LOWMARK_SERVICE_SECURITY_TOKEN_H_
#define LOWMARK_SERVICE_SECURITY_TOKEN_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "service/security/secret_file.h"

namespace lowmark {

inline constexpr size_t kShortestToken = 16;
inline constexpr size_t kLongestToken = 256;

// 1..32 tokens; INVALID_ARGUMENT naming the file and the line, never the token.
absl::StatusOr<std::vector<std::string>> ParseTokens(const SecretFile& file,
                                                     absl::string_view text);

// The tokens that a server accepts.
class TokenSet {
 public:
  // They must be as ParseTokens returns them.
  explicit TokenSet(const std::vector<std::string>& tokens);

  // Whether one of them is this. How long that takes says nothing but how many
  // tokens there are, and how long `presented` is.
  bool Has(absl::string_view presented) const;

 private:
  struct Padded {
    std::array<char, kLongestToken> bytes{};
    size_t size = 0;
  };

  std::vector<Padded> tokens_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_TOKEN_H_
