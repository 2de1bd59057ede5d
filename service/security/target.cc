#include "service/security/target.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace lowmark {
namespace {

Target::Host ParseHost(absl::string_view text) {
  const size_t colon = text.rfind(':');
  const bool bare = colon == absl::string_view::npos || absl::EndsWith(text, "]");
  absl::string_view name = bare ? text : text.substr(0, colon);
  if (absl::ConsumePrefix(&name, "[")) absl::ConsumeSuffix(&name, "]");
  return {std::string(name), bare ? "" : std::string(text.substr(colon + 1))};
}

bool IsLoopbackHost(const std::string& host) {
  in_addr v4 = {};
  in6_addr v6 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

}  // namespace

Target ParseTarget(const std::string& address) {
  Target target;
  absl::string_view rest = address;
  if (absl::ConsumePrefix(&rest, "unix://") || absl::ConsumePrefix(&rest, "unix:")) {
    target.unix_path = std::string(rest);
    return target;
  }
  if (absl::StartsWith(rest, "unix-abstract:") || absl::StartsWith(rest, "xds:")) return target;
  const bool listed = absl::ConsumePrefix(&rest, "ipv4:") || absl::ConsumePrefix(&rest, "ipv6:");
  if (!listed && absl::ConsumePrefix(&rest, "dns:") && absl::ConsumePrefix(&rest, "//")) {
    // A name server's address may stand before the name.
    const size_t slash = rest.find('/');
    rest = slash == absl::string_view::npos ? "" : rest.substr(slash);
  }
  absl::ConsumePrefix(&rest, "/");
  if (rest.empty()) return target;
  if (!listed) {
    target.hosts.push_back(ParseHost(rest));
    return target;
  }
  for (const absl::string_view one : absl::StrSplit(rest, ',', absl::SkipEmpty())) {
    target.hosts.push_back(ParseHost(one));
  }
  return target;
}

bool IsLoopback(const Target& target) {
  if (!target.unix_path.empty()) return true;
  return !target.hosts.empty() &&
         std::all_of(target.hosts.begin(), target.hosts.end(),
                     [](const Target::Host& host) { return IsLoopbackHost(host.name); });
}

}  // namespace lowmark
