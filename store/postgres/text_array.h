// PostgreSQL's text form of one-dimensional arrays: how columns of many rows
// travel as one parameter each. The only place that quotes anything.
#ifndef LOWMARK_STORE_POSTGRES_TEXT_ARRAY_H_
#define LOWMARK_STORE_POSTGRES_TEXT_ARRAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lowmark {

// Builds "{1,NULL,\"a b\"}". Holds any text but NUL, which PostgreSQL has not:
// check it before (CheckText).
class TextArray {
 public:
  TextArray() = default;
  explicit TextArray(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) Add(text);
  }

  void Add(absl::string_view text);
  void AddNumber(int64_t number);
  void AddBool(bool value);
  void AddNull();
  // For bytea[]: any bytes.
  void AddBytes(absl::string_view bytes);
  // A word that needs no quotes: a letter, then letters, digits and '_'; not NULL.
  void AddWord(absl::string_view word);

  // Elements so far, and the bytes they take.
  int64_t size() const { return size_; }
  size_t bytes() const { return text_.size(); }

  // The array, complete; nothing may be added afterwards.
  const std::string& Finish();

 private:
  void Separate();

  std::string text_;
  int64_t size_ = 0;
  bool finished_ = false;
};

// Reads what TextArray or PostgreSQL wrote; NULL elements are left out.
std::vector<std::string> ParseTextArray(const char* text);

// Reads a bytea as PostgreSQL shows it ("\x...").
std::string ParseBytes(absl::string_view text);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_TEXT_ARRAY_H_
