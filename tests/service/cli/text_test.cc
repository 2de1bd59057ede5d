#include "service/cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "service/cli/table.h"

namespace lowmark::cli {
namespace {

using ::testing::HasSubstr;

TEST(Safe, LeavesTextAlone) {
  EXPECT_EQ(Safe(""), "");
  EXPECT_EQ(Safe("plain \"text\" \\ 100%"), "plain \"text\" \\ 100%");
  EXPECT_EQ(Safe("caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"),
            "caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80");
}

TEST(Safe, EscapesWhatSteersATerminal) {
  EXPECT_EQ(Safe("a\nb\tc\rd\x1b[31m\x7f"), "a\\nb\\tc\\x0dd\\x1b[31m\\x7f");
  EXPECT_EQ(Safe(absl::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Safe("\xc2\x9b"), "\\xc2\\x9b");           // a C1 control
  EXPECT_EQ(Safe("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
}

TEST(Safe, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(Safe("\xff"), "\\xff");
  EXPECT_EQ(Safe("a\xc3"), "a\\xc3");                           // cut short
  EXPECT_EQ(Safe("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(Safe("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(Safe("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
}

TEST(IsPrintable, TakesTextButNotBytes) {
  EXPECT_TRUE(IsPrintable("{\"a\":\t1}\n\xc3\xa9"));
  EXPECT_TRUE(IsPrintable(""));
  EXPECT_FALSE(IsPrintable("\x1b[31m"));
  EXPECT_FALSE(IsPrintable("\xff\xfe"));
  EXPECT_FALSE(IsPrintable("\r"));
}

TEST(Shortened, KeepsWhatIsSeen) {
  EXPECT_EQ(Shortened("12345", 5), "12345");
  EXPECT_EQ(Shortened("123456", 5), "1234\xe2\x80\xa6");
  EXPECT_EQ(Shortened("\xc3\xa9\xc3\xa9\xc3\xa9", 2), "\xc3\xa9\xe2\x80\xa6");
  EXPECT_EQ(ShortenedInside("12345", 5), "12345");
  EXPECT_EQ(ShortenedInside("123456", 5),
            "12\xe2\x80\xa6"
            "56");
  EXPECT_EQ(Width(ShortenedInside(std::string(56, '7'), 20)), 20u);
}

TEST(PositionText, IsWhatParsePositionReads) {
  for (const char* text :
       {"TRIM_HORIZON", "LATEST", "SHARD_END", "AT 4", "AFTER 49590338271490256608559692538361",
        "AT_TIMESTAMP 2026-01-31T12:00:00Z", "AT_TIMESTAMP 2026-01-31T12:00:00.250Z", "AT a:b"}) {
    auto position = ParsePosition(text);
    ASSERT_TRUE(position.ok()) << position.status();
    EXPECT_EQ(PositionText(*position), text);
  }
  EXPECT_EQ(PositionText(*ParsePosition("at:4")), "AT 4");
  EXPECT_EQ(PositionText(*ParsePosition("after a:b")), "AFTER a:b");
  EXPECT_EQ(PositionText(v1::Position()), "");
}

TEST(ParsePosition, RefusesTheRest) {
  for (const char* text : {"", "at", "at ", "here", "latest 4", "trim_horizon:1", "shard_end x",
                           "at_timestamp yesterday", "at_timestamp", "4"}) {
    EXPECT_EQ(ParsePosition(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseDuration, ReadsUnitsAndNoLimit) {
  EXPECT_EQ(ParseDuration("200ms")->nanos(), 200'000'000);
  EXPECT_EQ(ParseDuration("1m30s")->seconds(), 90);
  EXPECT_EQ(ParseDuration("-1")->seconds(), -1);
  EXPECT_EQ(ParseDuration("-1.5s")->seconds(), -1);
  EXPECT_EQ(ParseDuration("-1.5s")->nanos(), -500'000'000);
  EXPECT_EQ(DurationText(*ParseDuration("0")), "0s");
  for (const char* text : {"", "10", "soon", "inf", "99999999h"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(TimeText, IsRfc3339) {
  google::protobuf::Timestamp time;
  EXPECT_EQ(TimeText(time), "");
  time.set_seconds(1769860800);
  EXPECT_EQ(TimeText(time), "2026-01-31T12:00:00Z");
  time.set_nanos(250'000'000);
  EXPECT_EQ(TimeText(time), "2026-01-31T12:00:00.250Z");
}

TEST(SizeText, CountsBytes) {
  EXPECT_EQ(SizeText(0), "0 bytes");
  EXPECT_EQ(SizeText(1), "1 byte");
  EXPECT_EQ(SizeText(1536), "1.5 KiB");
  EXPECT_EQ(SizeText(6 << 20), "6.0 MiB");
}

TEST(Table, AlignsByCharacters) {
  Table table({"NAME", ">N", "LAST"});
  table.AddRow({"caf\xc3\xa9", "7", "x"});
  table.AddRow({"", "1234", "a longer text at the end"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME     N  LAST\n"
            "caf\xc3\xa9     7  x\n"
            "-     1234  a longer text at the end\n");
  out.str("");
  table.Print(out, 20);
  EXPECT_THAT(out.str(), HasSubstr("-     1234  a longer text a\xe2\x80\xa6\n"));
}

}  // namespace
}  // namespace lowmark::cli
