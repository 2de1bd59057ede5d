// Bearer tokens in files: one a line; empty lines, and those that begin with #, are
// for people. A token is 16 to 256 of the characters A-Z a-z 0-9 - . _ ~ + / =. A line
// may name the streams that its token is for, after it:
//
//   0123456789abcdef orders payments-*
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

struct Token {
  std::string text;
  // Names of streams, and prefixes of such followed by *; none: it is for all.
  std::vector<std::string> streams;
  int line = 0;

  bool operator==(const Token&) const = default;
};

// 1..256 tokens; INVALID_ARGUMENT naming the file and the line, never the token.
absl::StatusOr<std::vector<Token>> ParseTokens(const SecretFile& file, absl::string_view text);

// The tokens that a server accepts.
class TokenSet {
 public:
  enum class Match {
    kNone,          // none of them is this
    kOtherStreams,  // one is, and not for this stream
    kMatch,
  };

  // They must be as ParseTokens returns them.
  explicit TokenSet(const std::vector<Token>& tokens);

  // How long that takes says nothing to who has none of them but how many there are,
  // and how long `presented` is.
  Match Find(absl::string_view presented, absl::string_view stream) const;

 private:
  struct Padded {
    std::array<char, kLongestToken> bytes{};
    size_t size = 0;
    std::vector<std::string> streams;
  };

  std::vector<Padded> tokens_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_TOKEN_H_
