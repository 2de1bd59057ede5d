// Strings that find careless code.
#ifndef LOWMARK_TESTS_SUPPORT_AWKWARD_H_
#define LOWMARK_TESTS_SUPPORT_AWKWARD_H_

#include <string>
#include <utility>
#include <vector>

namespace lowmark {

// Text that breaks careless quoting: for SQL, for array literals, for C.
inline std::string AwkwardText() {
  return "a'b\"c\\d{e},f;g%h$1 --i\n\t\r\\x00 NULL \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \x7F\x01";
}

// Bytes that are not text, NUL among them.
inline std::string AwkwardBytes() {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  return bytes + AwkwardText();
}

// Of one name twice, and of names and values that are not text.
inline std::vector<std::pair<std::string, std::string>> AwkwardHeaders() {
  return {{"a", AwkwardBytes()}, {AwkwardBytes(), ""}, {"a", "{}"}, {"", AwkwardText()}};
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_AWKWARD_H_
