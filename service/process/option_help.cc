#include "service/process/option_help.h"

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr char kPrecedence[] =
    "A flag beats its variable LOWMARK_..., a variable beats the file that --config\n"
    "names, and the file beats the [default].\n";

}  // namespace

HelpFormatter::HelpFormatter() { column_width(34); }

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0 || option->get_type_name().empty()) return "";
  const bool many = option->get_expected_max() > 1;
  return absl::StrCat(" ", option->get_type_name(), many ? " ..." : "");
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  const std::string& value = option->get_default_str();
  if (value.empty()) return option->get_description();
  return absl::StrCat(option->get_description(), " [", value, "]");
}

std::string HelpFormatter::make_option_usage(const CLI::Option* option) const {
  const bool many = option->get_expected_max() > 1;
  const std::string name = make_option_name(option, true) + (many ? "..." : "");
  return option->get_required() ? name : "[" + name + "]";
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  const bool file = app->get_option_no_throw("--config") != nullptr;
  const std::string& footer = app->get_footer();
  return absl::StrCat(file ? kPrecedence : "", file && !footer.empty() ? "\n" : "", footer,
                      footer.empty() ? "" : "\n");
}

}  // namespace lowmark
