#include "store/postgres/text_array.h"

#include <pqxx/pqxx>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace lowmark {

void TextArray::Separate() {
  text_.push_back(size_ == 0 ? '{' : ',');
  ++size_;
}

void TextArray::Add(absl::string_view text) {
  Separate();
  text_.push_back('"');
  for (;;) {
    const size_t special = text.find_first_of("\"\\");
    if (special == absl::string_view::npos) break;
    text_.append(text.data(), special);
    text_.push_back('\\');
    text_.push_back(text[special]);
    text.remove_prefix(special + 1);
  }
  text_.append(text.data(), text.size());
  text_.push_back('"');
}

void TextArray::AddNumber(int64_t number) {
  Separate();
  absl::StrAppend(&text_, number);
}

void TextArray::AddBool(bool value) {
  Separate();
  text_.push_back(value ? 't' : 'f');
}

void TextArray::AddNull() {
  Separate();
  text_.append("NULL");
}

void TextArray::AddBytes(absl::string_view bytes) {
  Separate();
  absl::StrAppend(&text_, "\"\\\\x", absl::BytesToHexString(bytes), "\"");
}

void TextArray::AddWord(absl::string_view word) {
  Separate();
  text_.append(word.data(), word.size());
}

const std::string& TextArray::Finish() {
  if (!finished_) text_.append(size_ == 0 ? "{}" : "}");
  finished_ = true;
  return text_;
}

std::vector<std::string> ParseTextArray(const char* text) {
  std::vector<std::string> elements;
  pqxx::array_parser parser(text);
  for (auto next = parser.get_next(); next.first != pqxx::array_parser::juncture::done;
       next = parser.get_next()) {
    if (next.first == pqxx::array_parser::juncture::string_value) {
      elements.push_back(std::move(next.second));
    }
  }
  return elements;
}

std::string ParseBytes(absl::string_view text) {
  return absl::HexStringToBytes(text.substr(text.substr(0, 2) == "\\x" ? 2 : 0));
}

}  // namespace lowmark
