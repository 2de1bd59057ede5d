#include "service/process/options.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/process/option_file.h"
#include "service/process/option_help.h"
#include "service/process/spelling.h"
#include "service/process/version.h"

namespace lowmark {
namespace {

constexpr int kUsageError = 2;

absl::Status Wrong(absl::string_view message) { return absl::InvalidArgumentError(message); }

// Of "output,o": "output", and "-o,--output" as CLI11 wants it.
std::string LongName(const std::string& name) { return name.substr(0, name.find(',')); }
std::string Flags(const std::string& name) {
  const size_t comma = name.find(',');
  if (comma == std::string::npos) return "--" + name;
  return absl::StrCat("-", name.substr(comma + 1), ",--", name.substr(0, comma));
}

// What is wrong with an option's value; `origin` is where it came from.
std::string ValueError(const CLI::ParseError& error, const CLI::Option& option,
                       const std::string& origin) {
  std::string type = absl::AsciiStrToLower(option.get_type_name());
  if (type.empty()) type = "true|false";
  type = absl::StrContains(type, "|") ? absl::StrReplaceAll(type, {{"|", " or "}}) : "a " + type;
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (option.count() > 1) return absl::StrCat(origin, " is given more than once");
    return absl::StrCat(origin, " needs a value: ", type);
  }
  const std::string what = error.what();
  absl::string_view why = what;
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    return absl::StrCat(origin, " is ", Quoted(absl::StrJoin(option.results(), ",")), ": must be ",
                        type);
  }
  absl::ConsumePrefix(&why, option.get_name() + ": ");
  return absl::StrCat(origin, " is ", Quoted(absl::StrJoin(option.results(), ",")), ": ", why);
}

// Sets an option from a variable or a file; `origin` names that.
absl::Status Set(CLI::Option& option, const std::vector<std::string>& values,
                 const std::string& origin) {
  try {
    option.add_result(values);
    option.run_callback();
  } catch (const CLI::ParseError& error) {
    return Wrong(ValueError(error, option, origin));
  }
  return absl::OkStatus();
}

bool IsTruth(const std::string& text) {
  bool value = false;
  return absl::SimpleAtob(text, &value) || text == "on" || text == "off";
}

// CLI11 takes the nearest number for one that does not fit.
template <typename Integer>
CLI::Validator WholeNumber() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        Integer value = 0;
        if (absl::SimpleAtoi(text, &value)) return "";
        return absl::StrCat("must be a whole number of at most ", 8 * sizeof(Integer), " bits");
      },
      "");
}

}  // namespace

std::string EnvironmentName(const std::string& option) {
  return absl::StrCat("LOWMARK_", absl::AsciiStrToUpper(absl::StrReplaceAll(option, {{"-", "_"}})));
}

CLI::Validator Range(int64_t low, int64_t high) {
  return CLI::Validator(
      [low, high](const std::string& text) -> std::string {
        int64_t value = 0;
        if (absl::SimpleAtoi(text, &value) && low <= value && value <= high) return "";
        return absl::StrCat("must be a whole number from ", low, " to ", high);
      },
      "");
}

CLI::Validator OneOf(const std::vector<std::string>& words) {
  return CLI::Validator(
      [words](const std::string& text) -> std::string {
        if (std::find(words.begin(), words.end(), text) != words.end()) return "";
        return absl::StrCat("must be one of ", absl::StrJoin(words, ", "));
      },
      "");
}

Options::Options(const std::string& program, const std::string& description,
                 const std::string& example)
    : app_(description, program) {
  app_.formatter(std::make_shared<HelpFormatter>());
  app_.set_help_flag("-h,--help", "Print this help and exit");
  app_.set_version_flag("--version", absl::StrCat(program, " ", Version()),
                        "Print the version and exit");
  if (!example.empty()) app_.footer("Example:\n  " + example);
}

CLI::App& Options::AddCommand(CLI::App& parent, const std::string& name,
                              const std::string& description, const std::string& example) {
  CLI::App& command = *parent.add_subcommand(name, description);
  parent.require_subcommand(1);
  command.group("Commands");
  if (!example.empty()) command.footer("Example:\n  " + example);
  return command;
}

CLI::Option* Options::Register(CLI::App& command, const std::string& name, CLI::Option* option,
                               const std::string& type_name) {
  if (!type_name.empty()) option->type_name(type_name);
  const std::string long_name = LongName(name);
  option->description(absl::StrCat(option->get_description(), "\n", EnvironmentName(long_name)));
  entries_.push_back({&command, option, long_name});
  return option;
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, std::string& value,
                          const std::string& description) {
  return Register(command, name,
                  command.add_option(Flags(name), value, description)->capture_default_str(),
                  "TEXT");
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, int32_t& value,
                          const std::string& description) {
  CLI::Option* option = command.add_option(Flags(name), value, description)->capture_default_str();
  Register(command, name, option, "NUMBER");
  entries_.back().last_check = WholeNumber<int32_t>();
  return option;
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, int64_t& value,
                          const std::string& description) {
  CLI::Option* option = command.add_option(Flags(name), value, description)->capture_default_str();
  Register(command, name, option, "NUMBER");
  entries_.back().last_check = WholeNumber<int64_t>();
  return option;
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, double& value,
                          const std::string& description) {
  return Register(command, name,
                  command.add_option(Flags(name), value, description)->capture_default_str(),
                  "NUMBER");
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, bool& value,
                          const std::string& description) {
  const std::string flag = "--" + LongName(name);
  const std::string state = value ? absl::StrCat("on; ", flag, "=false turns it off") : "off";
  CLI::Option* option = command.add_flag(Flags(name), value, description);
  option->default_str(state);
  return Register(command, name, option, "");
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name, absl::Duration& value,
                          const std::string& description) {
  const bool endless = value == absl::InfiniteDuration();
  CLI::Option* option = command.add_option_function<std::string>(
      Flags(name),
      [&value, endless, flag = "--" + LongName(name)](const std::string& text) {
        absl::Duration duration;
        if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
            (duration == absl::InfiniteDuration() && !endless)) {
          throw CLI::ValidationError(flag, "must be a duration such as 200ms, 30s or 5m");
        }
        value = duration;
      },
      description);
  option->default_str(absl::FormatDuration(value));
  return Register(command, name, option, "DURATION");
}

CLI::Option* Options::Add(CLI::App& command, const std::string& name,
                          std::vector<std::string>& value, const std::string& description) {
  CLI::Option* option = command.add_option(Flags(name), value, description)->expected(1);
  option->allow_extra_args(false);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return Register(command, name, option, "TEXT");
}

void Options::Require(CLI::App& command, const std::string& name) {
  for (Entry& entry : entries_) {
    if (entry.command != &command || entry.name != name) continue;
    entry.required = true;
    entry.option->description(absl::StrCat(entry.option->get_description(), " (required)"));
  }
}

void Options::AddConfig(CLI::App& command) {
  Add(command, "config", config_, "YAML file with the options named here, without --")
      ->type_name("FILE");
}

std::optional<int> Options::Parse(int argc, const char* const* argv) {
  return Parse(argc, argv, std::cout, std::cerr);
}

std::optional<int> Options::Parse(int argc, const char* const* argv, std::ostream& out,
                                  std::ostream& err) {
  for (Entry& entry : entries_) {
    if (entry.last_check) entry.option->check(*std::exchange(entry.last_check, std::nullopt));
  }
  arguments_.assign(argv, argv + argc);
  std::string why;
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out << absl::StrReplaceAll(app_.help(), {{"\n\n\n", "\n\n"}});
    return 0;
  } catch (const CLI::CallForVersion& version) {
    out << version.what() << "\n";
    return 0;
  } catch (const CLI::ParseError& error) {
    why = Explain(error, *ParsedCommands().back());
  }
  const std::vector<CLI::App*> commands = ParsedCommands();
  if (why.empty()) {
    if (const absl::Status status = Resolve(commands); !status.ok())
      why = std::string(status.message());
  }
  if (why.empty()) return std::nullopt;
  return Refuse(why, err);
}

int Options::Refuse(const absl::Status& status, std::ostream& err) {
  std::string why(status.message());
  const std::string name = absl::StrReplaceAll(why.substr(0, why.find(' ')), {{"_", "-"}});
  for (const Entry& entry : entries_) {
    if (entry.name != name || !absl::StrContains(why, " ")) continue;
    why = absl::StrCat("--", name, why.substr(why.find(' ')));
    break;
  }
  return Refuse(why, err);
}

int Options::Refuse(const std::string& why, std::ostream& err) {
  std::string command;
  for (const CLI::App* part : ParsedCommands()) absl::StrAppend(&command, part->get_name(), " ");
  err << app_.get_name() << ": " << absl::StrReplaceAll(why, {{"\n", " "}}) << " (see `" << command
      << "--help`)\n";
  return kUsageError;
}

// The program, and the commands that were given, outermost first.
std::vector<CLI::App*> Options::ParsedCommands() {
  std::vector<CLI::App*> commands = {&app_};
  while (!commands.back()->get_subcommands().empty()) {
    commands.push_back(commands.back()->get_subcommands().back());
  }
  return commands;
}

// Sets what no flag has set.
absl::Status Options::Resolve(const std::vector<CLI::App*>& commands) {
  const auto applies = [&](const Entry& entry) {
    return std::find(commands.begin(), commands.end(), entry.command) != commands.end();
  };
  const auto from_environment = [](const Entry& entry) -> absl::StatusOr<bool> {
    const std::string name = EnvironmentName(entry.name);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return false;
    const bool list = entry.option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    std::vector<std::string> values = {value};
    if (list) values = absl::StrSplit(value, ',');
    const absl::Status status = Set(*entry.option, values, name);
    if (!status.ok()) return status;
    return true;
  };

  OptionFile file;
  for (const Entry& entry : entries_) {
    if (!applies(entry) || entry.name != "config") continue;
    if (entry.option->count() == 0) {
      if (auto set = from_environment(entry); !set.ok()) return set.status();
    }
    if (config_.empty()) continue;
    auto read = ReadOptionFile(config_, FileOptions());
    if (!read.ok()) return read.status();
    file = *std::move(read);
  }
  for (const Entry& entry : entries_) {
    if (!applies(entry) || entry.option->count() > 0) continue;
    auto set = from_environment(entry);
    if (!set.ok()) return set.status();
    if (*set) continue;
    if (const auto it = file.find(entry.name); it != file.end()) {
      const std::string origin = absl::StrCat(config_, ":", it->second.line, ": ", entry.name);
      if (auto s = Set(*entry.option, it->second.values, origin); !s.ok()) return s;
      continue;
    }
    if (entry.required) {
      return Wrong(absl::StrCat("--", entry.name, " is required: give the flag, or set ",
                                EnvironmentName(entry.name)));
    }
  }
  return absl::OkStatus();
}

// The names of all options that a file can have.
std::vector<std::string> Options::FileOptions() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    if (entry.name != "config") names.push_back(entry.name);
  }
  return names;
}

// The flag that stands before `extra`, where that looks like its value.
const CLI::Option* Options::FlagBefore(const CLI::App& command, const std::string& extra) const {
  if (!IsTruth(extra)) return nullptr;
  const auto found = std::find(arguments_.begin(), arguments_.end(), extra);
  if (found == arguments_.end() || found == arguments_.begin()) return nullptr;
  const CLI::Option* option = command.get_option_no_throw(*(found - 1));
  return option != nullptr && option->get_type_name().empty() ? option : nullptr;
}

// What is wrong with a command line, and what to do.
std::string Options::Explain(const CLI::ParseError& error, const CLI::App& command) const {
  std::vector<std::string> commands;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(sub->get_name());
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> candidates = commands;
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) candidates.push_back("--" + name);
    }
    const std::string extra = command.remaining().empty() ? "" : command.remaining().front();
    if (const CLI::Option* flag = FlagBefore(command, extra); flag != nullptr) {
      return absl::StrCat(flag->get_name(), " takes its value with =: ", flag->get_name(), "=",
                          extra);
    }
    const std::string nearest = Nearest(extra.substr(0, extra.find('=')), candidates);
    return absl::StrCat("unknown argument ", Quoted(extra),
                        nearest.empty() ? "" : absl::StrCat(": did you mean ", nearest, "?"));
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !commands.empty()) {
    const std::vector<std::string> remaining = command.remaining();
    const std::string given = remaining.empty() ? "" : remaining.front();
    const std::string nearest = Nearest(given, commands);
    if (!nearest.empty())
      return absl::StrCat("unknown command ", Quoted(given), ": did you mean ", nearest, "?");
    return absl::StrCat(given.empty() ? "a command is needed" : "unknown command " + Quoted(given),
                        ": one of ", absl::StrJoin(commands, ", "));
  }
  std::string what = error.what();
  for (const CLI::Option* option : command.get_options()) {
    const std::string& name = option->get_name();
    if (absl::StartsWith(what, name + ":") || absl::StrContains(what, name + " = ")) {
      return ValueError(error, *option, name);
    }
  }
  return what;
}

}  // namespace lowmark
