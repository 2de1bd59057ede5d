// How a program's --help looks.
#ifndef LOWMARK_SERVICE_PROCESS_OPTION_HELP_H_
#define LOWMARK_SERVICE_PROCESS_OPTION_HELP_H_

#include <CLI/CLI.hpp>
#include <string>

namespace lowmark {

// One option a paragraph: what it is, its default, then where else it can come
// from. Where there is a --config, which place wins.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();

  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_option_usage(const CLI::Option* option) const override;
  std::string make_footer(const CLI::App* app) const override;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_OPTION_HELP_H_
