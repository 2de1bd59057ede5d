#include "service/security/token.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

constexpr size_t kMostTokens = 256;
constexpr absl::string_view kOthers = "-._~+/=";

bool IsToken68(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           kOthers.find(c) != absl::string_view::npos;
  });
}

// Whether it is a stream's name, or the beginning of one and an asterisk.
bool IsStreamPattern(absl::string_view text) {
  if (absl::ConsumeSuffix(&text, "*") && text.empty()) return true;
  return IsToken(text);
}

bool Covers(const std::vector<std::string>& patterns, absl::string_view stream) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(), [&](absl::string_view pattern) {
           return absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(stream, pattern)
                                                     : stream == pattern;
         });
}

absl::StatusOr<Token> ParseLine(const SecretFile& file, int line, absl::string_view text) {
  std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  Token token{std::move(words[0]), {}, line};
  if (token.text.size() < kShortestToken || token.text.size() > kLongestToken ||
      !IsToken68(token.text)) {
    return WrongFile(file,
                     absl::StrCat("line ", line, " is no token: it must be ", kShortestToken, "..",
                                  kLongestToken, " of the characters A-Z a-z 0-9 - . _ ~ + / ="));
  }
  token.streams.assign(std::make_move_iterator(words.begin() + 1),
                       std::make_move_iterator(words.end()));
  for (const std::string& stream : token.streams) {
    if (!IsStreamPattern(stream)) {
      return WrongFile(file, absl::StrCat("line ", line, " names no stream after its token: ",
                                          "it must be names, or beginnings of names with a *"));
    }
  }
  return token;
}

}  // namespace

absl::StatusOr<std::vector<Token>> ParseTokens(const SecretFile& file, absl::string_view text) {
  std::vector<Token> tokens;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || absl::StartsWith(line, "#")) continue;
    auto token = ParseLine(file, number, line);
    if (!token.ok()) return token.status();
    tokens.push_back(*std::move(token));
  }
  if (tokens.empty()) return WrongFile(file, "holds no token: it must have one a line");
  if (tokens.size() > kMostTokens) {
    return WrongFile(file, absl::StrCat("must have at most ", kMostTokens, " tokens"));
  }
  return tokens;
}

TokenSet::TokenSet(const std::vector<Token>& tokens) {
  for (const Token& token : tokens) {
    Padded padded;
    std::copy(token.text.begin(), token.text.end(), padded.bytes.begin());
    padded.size = token.text.size();
    padded.streams = token.streams;
    tokens_.push_back(std::move(padded));
  }
}

TokenSet::Match TokenSet::Find(absl::string_view presented, absl::string_view stream) const {
  if (presented.size() > kLongestToken) return Match::kNone;
  Match found = Match::kNone;
  for (const Padded& token : tokens_) {
    // Each is compared to its end, also after one was found.
    const int different = CRYPTO_memcmp(token.bytes.data(), presented.data(), presented.size());
    const unsigned equal = static_cast<unsigned>(different == 0) &
                           static_cast<unsigned>(token.size == presented.size());
    // The same token may be on several lines.
    if (equal != 0 && found != Match::kMatch) {
      found = Covers(token.streams, stream) ? Match::kMatch : Match::kOtherStreams;
    }
  }
  return found;
}

}  // namespace lowmark
