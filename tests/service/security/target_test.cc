#include "service/security/target.h"

#include <gtest/gtest.h>

namespace lowmark {
namespace {

// As "name port, name port", or "unix PATH".
std::string Parsed(const std::string& address) {
  const Target target = ParseTarget(address);
  if (!target.unix_path.empty()) return "unix " + target.unix_path;
  std::string text;
  for (const Target::Host& host : target.hosts) {
    text += (text.empty() ? "" : ", ") + host.name + " " + host.port;
  }
  return text;
}

TEST(ParseTarget, TakesEveryFormApart) {
  EXPECT_EQ(Parsed("localhost:7070"), "localhost 7070");
  EXPECT_EQ(Parsed("dns:///a.svc:7070"), "a.svc 7070");
  EXPECT_EQ(Parsed("dns:a.svc:7070"), "a.svc 7070");
  EXPECT_EQ(Parsed("dns://9.9.9.9/a.svc:7070"), "a.svc 7070");
  EXPECT_EQ(Parsed("ipv4:10.0.0.1:1,10.0.0.2:2"), "10.0.0.1 1, 10.0.0.2 2");
  EXPECT_EQ(Parsed("ipv6:[::1]:1,[fe80::1]:2"), "::1 1, fe80::1 2");
  EXPECT_EQ(Parsed("[::]:7070"), ":: 7070");
  EXPECT_EQ(Parsed("unix:/run/x"), "unix /run/x");
  EXPECT_EQ(Parsed("unix:///run/x"), "unix /run/x");
  EXPECT_EQ(Parsed("unix:x"), "unix x");
  for (const char* other : {"", "xds:///a", "unix-abstract:a", "dns://a", "unix:"}) {
    EXPECT_EQ(Parsed(other), "") << other;
  }
}

TEST(IsLoopback, IsWhatLeavesTheMachineNowhere) {
  for (const char* address : {"127.0.0.1:1", "127.9.8.7:1", "localhost:1", "[::1]:1", "unix:/x",
                              "dns:///localhost:1", "ipv4:127.0.0.1:1,127.0.0.2:1"}) {
    EXPECT_TRUE(IsLoopback(ParseTarget(address))) << address;
  }
  for (const char* address :
       {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "localhost.example:1", "127.example:1", "",
        "ipv4:127.0.0.1:1,10.0.0.1:1", "dns:///a:1", "unix-abstract:x"}) {
    EXPECT_FALSE(IsLoopback(ParseTarget(address))) << address;
  }
}

}  // namespace
}  // namespace lowmark
