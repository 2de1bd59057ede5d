#include "service/process/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "service/process/spelling.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A program like the real ones, run once with what a test sets up.
class OptionsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string directory = testing::TempDir() + "options-XXXXXX";
    directory_ = mkdtemp(directory.data());
  }
  void TearDown() override {
    for (const std::string& name : variables_) unsetenv(name.c_str());
    std::filesystem::remove_all(directory_);
  }

  void Variable(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    variables_.push_back(name);
  }
  std::string File(const std::string& text) {
    std::string path = directory_ + "/lowmark.yaml";
    std::ofstream(path) << text;
    return path;
  }

  // The exit code, -1 where the program would go on.
  int Run(std::vector<std::string> arguments) {
    Options options("lowmark-test", "A program.");
    CLI::App& serve = options.AddCommand(options.app(), "serve", "Serve.", "lowmark-test serve");
    CLI::App& migrate = options.AddCommand(options.app(), "migrate", "Migrate.");
    options.Add(serve, "listen,l", listen, "Where to listen")->type_name("ADDRESS");
    options.Add(serve, "max-leases", max_leases, "Leases")->check(Range(1, 1000));
    options.Add(serve, "bytes", bytes, "Bytes");
    options.Add(serve, "ratio", ratio, "Ratio");
    options.Add(serve, "unsafe", unsafe, "Unsafe");
    options.Add(serve, "retry", retry, "Retry");
    options.Add(serve, "session-ttl", session_ttl, "TTL");
    options.Add(serve, "tag", tags, "Tags");
    options.Add(serve, "log-format", log_format, "Format")->check(OneOf({"json", "console"}));
    options.AddConfig(serve);
    options.Add(migrate, "database", database, "Database");
    options.Require(migrate, "database");
    options.AddConfig(migrate);
    arguments.insert(arguments.begin(), "lowmark-test");
    std::vector<const char*> argv;
    argv.reserve(arguments.size());
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out_stream, err_stream;
    const auto exit =
        options.Parse(static_cast<int>(argv.size()), argv.data(), out_stream, err_stream);
    out = out_stream.str();
    err = err_stream.str();
    if (!exit && !found_wrong.ok()) {
      const int code = options.Refuse(found_wrong, err_stream);
      err = err_stream.str();
      return code;
    }
    return exit.value_or(-1);
  }

  // Checks that a wrong use gets one line, and returns it.
  std::string Refused(const std::vector<std::string>& arguments) {
    EXPECT_EQ(Run(arguments), 2);
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    EXPECT_THAT(err, testing::StartsWith("lowmark-test: "));
    EXPECT_THAT(err, HasSubstr("--help"));
    EXPECT_THAT(out, IsEmpty());
    return err;
  }

  std::string listen = "default";
  int32_t max_leases = 10;
  int64_t bytes = 1;
  double ratio = 0.5;
  bool unsafe = false;
  bool retry = true;
  // What the program's own checks find, after all was parsed.
  absl::Status found_wrong;
  absl::Duration session_ttl = absl::Seconds(30);
  std::vector<std::string> tags;
  std::string log_format = "console";
  std::string database;
  std::string out;
  std::string err;

 private:
  std::string directory_;
  std::vector<std::string> variables_;
};

TEST_F(OptionsTest, HasDefaults) {
  EXPECT_EQ(Run({"serve"}), -1);
  EXPECT_EQ(listen, "default");
  EXPECT_EQ(session_ttl, absl::Seconds(30));
}

// Precedence: each pair of places, and all.

TEST_F(OptionsTest, FileBeatsDefault) {
  EXPECT_EQ(Run({"serve", "--config", File("listen: file\n")}), -1);
  EXPECT_EQ(listen, "file");
}

TEST_F(OptionsTest, VariableBeatsDefault) {
  Variable("LOWMARK_LISTEN", "variable");
  EXPECT_EQ(Run({"serve"}), -1);
  EXPECT_EQ(listen, "variable");
}

TEST_F(OptionsTest, FlagBeatsDefault) {
  EXPECT_EQ(Run({"serve", "--listen", "flag"}), -1);
  EXPECT_EQ(listen, "flag");
}

TEST_F(OptionsTest, VariableBeatsFile) {
  Variable("LOWMARK_LISTEN", "variable");
  EXPECT_EQ(Run({"serve", "--config", File("listen: file\n")}), -1);
  EXPECT_EQ(listen, "variable");
}

TEST_F(OptionsTest, FlagBeatsFile) {
  EXPECT_EQ(Run({"serve", "--config", File("listen: file\n"), "--listen=flag"}), -1);
  EXPECT_EQ(listen, "flag");
}

TEST_F(OptionsTest, FlagBeatsVariable) {
  Variable("LOWMARK_LISTEN", "variable");
  EXPECT_EQ(Run({"serve", "--listen", "flag"}), -1);
  EXPECT_EQ(listen, "flag");
}

TEST_F(OptionsTest, FlagBeatsAll) {
  Variable("LOWMARK_LISTEN", "variable");
  EXPECT_EQ(Run({"serve", "--config", File("listen: file\n"), "--listen=flag"}), -1);
  EXPECT_EQ(listen, "flag");
}

TEST_F(OptionsTest, AnEmptyVariableCountsAsUnset) {
  Variable("LOWMARK_LISTEN", "");
  EXPECT_EQ(Run({"serve", "--config", File("listen: file\n")}), -1);
  EXPECT_EQ(listen, "file");
}

TEST_F(OptionsTest, AVariableCanNameTheFile) {
  Variable("LOWMARK_CONFIG", File("listen: file\n"));
  EXPECT_EQ(Run({"serve"}), -1);
  EXPECT_EQ(listen, "file");
}

TEST_F(OptionsTest, AShortFlagIsTheSameFlag) {
  Variable("LOWMARK_LISTEN", "variable");
  EXPECT_EQ(Run({"serve", "-l", "flag"}), -1) << err;
  EXPECT_EQ(listen, "flag");
  EXPECT_THAT(Refused({"serve", "-l", "a", "--listen", "b"}), HasSubstr("more than once"));
}

// Types.

TEST_F(OptionsTest, ReadsEveryTypeFromFlags) {
  EXPECT_EQ(Run({"serve", "--max-leases=7", "--bytes=5000000000", "--ratio=0.25", "--unsafe",
                 "--session-ttl=200ms", "--tag=a", "--tag=b,c"}),
            -1)
      << err;
  EXPECT_EQ(max_leases, 7);
  EXPECT_EQ(bytes, 5'000'000'000);
  EXPECT_EQ(ratio, 0.25);
  EXPECT_TRUE(unsafe);
  EXPECT_EQ(session_ttl, absl::Milliseconds(200));
  EXPECT_THAT(tags, ElementsAre("a", "b,c"));
}

TEST_F(OptionsTest, ReadsEveryTypeFromVariables) {
  Variable("LOWMARK_MAX_LEASES", "7");
  Variable("LOWMARK_BYTES", "5000000000");
  Variable("LOWMARK_RATIO", "0.25");
  Variable("LOWMARK_UNSAFE", "true");
  Variable("LOWMARK_SESSION_TTL", "1m30s");
  Variable("LOWMARK_TAG", "a,b");
  EXPECT_EQ(Run({"serve"}), -1) << err;
  EXPECT_EQ(max_leases, 7);
  EXPECT_EQ(bytes, 5'000'000'000);
  EXPECT_EQ(ratio, 0.25);
  EXPECT_TRUE(unsafe);
  EXPECT_EQ(session_ttl, absl::Seconds(90));
  EXPECT_THAT(tags, ElementsAre("a", "b"));
}

TEST_F(OptionsTest, ReadsEveryTypeFromAFile) {
  EXPECT_EQ(Run({"serve", "--config", File(R"(
# Underscores do as well.
max_leases: 7
bytes: 5000000000
ratio: 0.25
unsafe: true
session-ttl: 5m
tag: [a, "b,c"]
log-format: "json"
)")}),
            -1)
      << err;
  EXPECT_EQ(max_leases, 7);
  EXPECT_EQ(bytes, 5'000'000'000);
  EXPECT_EQ(ratio, 0.25);
  EXPECT_TRUE(unsafe);
  EXPECT_EQ(session_ttl, absl::Minutes(5));
  EXPECT_THAT(tags, ElementsAre("a", "b,c"));
  EXPECT_EQ(log_format, "json");
}

TEST_F(OptionsTest, AFalseFlagBeatsATrueVariable) {
  Variable("LOWMARK_UNSAFE", "true");
  EXPECT_EQ(Run({"serve", "--unsafe=false"}), -1) << err;
  EXPECT_FALSE(unsafe);
}

TEST_F(OptionsTest, CommandsShareAFile) {
  const std::string file = File("listen: file\ndatabase: dbname=x\n");
  EXPECT_EQ(Run({"serve", "--config", file}), -1) << err;
  EXPECT_EQ(listen, "file");
  EXPECT_EQ(Run({"migrate", "--config", file}), -1) << err;
  EXPECT_EQ(database, "dbname=x");
}

TEST_F(OptionsTest, TakesAnEmptyFile) {
  EXPECT_EQ(Run({"serve", "--config", File("# nothing\n")}), -1) << err;
}

// Wrong files.

TEST_F(OptionsTest, NamesAnUnknownKeyAndTheNearestKnownOne) {
  const std::string file = File("listen: x\nsesion_ttl: 3s\n");
  EXPECT_THAT(Refused({"serve", "--config", file}),
              HasSubstr(file + ":2: unknown option \"sesion_ttl\": did you mean session-ttl?"));
  EXPECT_THAT(Refused({"serve", "--config", File("zzzzzzzz: 1\n")}),
              Not(HasSubstr("did you mean")));
  EXPECT_THAT(Refused({"serve", "--config", File("config: other.yaml\n")}),
              HasSubstr("unknown option \"config\""));
}

TEST_F(OptionsTest, NamesFileLineAndKeyOfAWrongValue) {
  const std::string file = File("\nmax-leases: many\n");
  EXPECT_THAT(
      Refused({"serve", "--config", file}),
      HasSubstr(file + ":2: max-leases is \"many\": must be a whole number from 1 to 1000"));
  EXPECT_THAT(Refused({"serve", "--config", File("bytes: many\n")}),
              HasSubstr("bytes is \"many\": must be a whole number"));
  EXPECT_THAT(Refused({"serve", "--config", File("listen: [a, b]\n")}),
              HasSubstr("more than once"));
}

TEST_F(OptionsTest, RefusesFilesThatAreNoOptions) {
  EXPECT_THAT(Refused({"serve", "--config", "/no/such.yaml"}), HasSubstr("/no/such.yaml"));
  EXPECT_THAT(Refused({"serve", "--config", "/tmp"}), HasSubstr("must name a YAML file"));
  EXPECT_THAT(Refused({"serve", "--config", File("a: [1\nb: }")}), HasSubstr("not YAML"));
  EXPECT_THAT(Refused({"serve", "--config", File("- listen\n")}), HasSubstr("option: value"));
  EXPECT_THAT(Refused({"serve", "--config", File("just text")}), HasSubstr("option: value"));
  EXPECT_THAT(Refused({"serve", "--config", File("listen:\n")}), HasSubstr("must have a value"));
  EXPECT_THAT(Refused({"serve", "--config", File("listen: {a: b}\n")}),
              HasSubstr("must have a value"));
  EXPECT_THAT(Refused({"serve", "--config", File("tag: [a, [b]]\n")}),
              HasSubstr("must have a value"));
  EXPECT_THAT(Refused({"serve", "--config", File("listen: a\nlisten: b\n")}),
              HasSubstr(":2: listen stands twice"));
  EXPECT_THAT(Refused({"serve", "--config", File("? [a]\n: b\n")}), HasSubstr("unknown option"));
  const std::string two = File("listen: a\n---\nbytes: 2\n");
  EXPECT_THAT(Refused({"serve", "--config", two}), HasSubstr(two + ":3: a second YAML document"));
}

// Wrong variables.

TEST_F(OptionsTest, NamesAWrongVariable) {
  Variable("LOWMARK_SESSION_TTL", "soon");
  EXPECT_THAT(Refused({"serve"}),
              HasSubstr("LOWMARK_SESSION_TTL is \"soon\": must be a duration such as 200ms"));
}

TEST_F(OptionsTest, AWrongVariableIsIgnoredWhereAFlagBeatsIt) {
  Variable("LOWMARK_SESSION_TTL", "soon");
  EXPECT_EQ(Run({"serve", "--session-ttl", "3s"}), -1) << err;
}

// Wrong command lines.

TEST_F(OptionsTest, SaysWhatIsWrongWithACommandLine) {
  EXPECT_THAT(Refused({}), HasSubstr("a command is needed: one of serve, migrate"));
  EXPECT_THAT(Refused({"srve"}), HasSubstr("did you mean serve?"));
  EXPECT_THAT(Refused({"dance"}), HasSubstr("unknown command \"dance\": one of serve, migrate"));
  EXPECT_THAT(Refused({"serve", "--lisen", "x"}), HasSubstr("did you mean --listen?"));
  EXPECT_THAT(Refused({"serve", "--lisen=x"}), HasSubstr("did you mean --listen?"));
  EXPECT_THAT(Refused({"serve", "more"}), HasSubstr("unknown argument \"more\""));
  EXPECT_THAT(Refused({"serve", "--listen"}), HasSubstr("--listen needs a value"));
  EXPECT_THAT(Refused({"serve", "--listen=a", "--listen=b"}), HasSubstr("more than once"));
  EXPECT_THAT(Refused({"serve", "--max-leases=0"}), HasSubstr("from 1 to 1000"));
  EXPECT_THAT(Refused({"serve", "--bytes=1e3x"}),
              HasSubstr("--bytes is \"1e3x\": must be a whole number"));
  EXPECT_THAT(Refused({"serve", "--bytes=99999999999999999999"}), HasSubstr("at most 64 bits"));
  EXPECT_THAT(Refused({"serve", "--ratio=half"}), HasSubstr("must be a number"));
  EXPECT_THAT(Refused({"serve", "--unsafe=maybe"}), HasSubstr("must be true or false"));
  EXPECT_THAT(Refused({"serve", "--log-format=xml"}), HasSubstr("must be one of json, console"));
  EXPECT_THAT(Refused({"serve", "--session-ttl=30"}), HasSubstr("must be a duration"));
  EXPECT_THAT(Refused({"serve", "--session-ttl=-1s"}), HasSubstr("must be a duration"));
  EXPECT_THAT(Refused({"serve", "--session-ttl=inf"}), HasSubstr("must be a duration"));
  EXPECT_THAT(Refused({"migrate"}), HasSubstr("--database is required"));
  EXPECT_THAT(Refused({"migrate"}), HasSubstr("LOWMARK_DATABASE"));
  EXPECT_THAT(Refused({"serve", "--max-leases=1\n2\x1b[31m"}), Not(HasSubstr("\x1b")));
}

TEST_F(OptionsTest, SaysHowAFlagTakesItsValue) {
  EXPECT_THAT(Refused({"serve", "--retry", "false"}),
              HasSubstr("--retry takes its value with =: --retry=false"));
  EXPECT_THAT(Refused({"serve", "--listen", "a", "false"}), HasSubstr("unknown argument"));
  EXPECT_EQ(Run({"serve", "--retry=false"}), -1) << err;
  EXPECT_FALSE(retry);
}

TEST_F(OptionsTest, WhatTheProgramFindsWrongIsSaidInTheSameForm) {
  found_wrong = absl::InvalidArgumentError("session_ttl is 1ms: must be 100ms..1h");
  EXPECT_EQ(Refused({"serve"}),
            "lowmark-test: --session-ttl is 1ms: must be 100ms..1h (see `lowmark-test serve "
            "--help`)\n");
  found_wrong = absl::InvalidArgumentError("it cannot be");
  EXPECT_THAT(Refused({"serve"}), testing::StartsWith("lowmark-test: it cannot be (see "));
}

// Help.

TEST_F(OptionsTest, HelpTeaches) {
  EXPECT_EQ(Run({"serve", "--help"}), 0);
  EXPECT_THAT(out, HasSubstr("Usage: lowmark-test serve"));
  EXPECT_THAT(out, HasSubstr("-l,--listen ADDRESS"));
  EXPECT_THAT(out, HasSubstr("LOWMARK_SESSION_TTL [30s]"));
  EXPECT_THAT(out, HasSubstr("LOWMARK_UNSAFE [off]"));
  EXPECT_THAT(out, HasSubstr("LOWMARK_RETRY [on; --retry=false"));
  EXPECT_THAT(out, HasSubstr("A flag beats its variable"));
  EXPECT_THAT(out, HasSubstr("Example:\n  lowmark-test serve\n"));
  EXPECT_THAT(err, IsEmpty());
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out, HasSubstr("migrate"));
  EXPECT_EQ(Run({"migrate", "-h"}), 0);
  EXPECT_THAT(out, HasSubstr("(required)"));
}

TEST_F(OptionsTest, HelpDoesNotNeedWhatIsRequired) {
  Variable("LOWMARK_CONFIG", "/no/such.yaml");
  EXPECT_EQ(Run({"migrate", "--help"}), 0);
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_THAT(out, testing::MatchesRegex("lowmark-test [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Nearest, FindsMisspellings) {
  EXPECT_EQ(Nearest("lsiten", {"listen", "database"}), "listen");
  EXPECT_EQ(Nearest("sess", {"listen", "session-ttl"}), "session-ttl");
  EXPECT_EQ(Nearest("", {"listen"}), "");
  EXPECT_EQ(Nearest("x", {}), "");
  EXPECT_EQ(Nearest("completely-different", {"listen"}), "");
}

}  // namespace
}  // namespace lowmark
