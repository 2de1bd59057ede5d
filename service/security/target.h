// Where a server is, taken apart: whether what is sent there leaves this machine, and
// what to connect to.
#ifndef LOWMARK_SERVICE_SECURITY_TARGET_H_
#define LOWMARK_SERVICE_SECURITY_TARGET_H_

#include <string>
#include <vector>

namespace lowmark {

// An address as servers listen on and gRPC's clients connect to it, taken apart.
struct Target {
  std::string unix_path;  // of unix:PATH; then there are no hosts
  struct Host {
    std::string name;  // without the brackets of IPv6
    std::string port;
  };
  std::vector<Host> hosts;  // more than one of ipv4:A,B and ipv6:A,B
};

// Of HOST:PORT, unix:PATH, and gRPC's dns:, ipv4: and ipv6:. What cannot be
// understood has no hosts.
Target ParseTarget(const std::string& address);

// Whether what is sent there stays on this machine.
bool IsLoopback(const Target& target);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_TARGET_H_
