// How a client's connection to the coordinators is secured, and as whom it calls.
//
// All of it is in files, which may be replaced while the client runs: it looks at
// them every second, and goes on without a call that fails.
#ifndef LOWMARK_SERVICE_SECURITY_CONNECTION_SECURITY_H_
#define LOWMARK_SERVICE_SECURITY_CONNECTION_SECURITY_H_

#include <string>

#include "absl/status/status.h"

namespace lowmark {

struct ConnectionSecurity {
  // PEM file with the certificates of the CAs, one of which must have signed the
  // coordinators' certificate. With it connections are made by TLS, without it they
  // are plain. The system's CAs: /etc/ssl/certs/ca-certificates.crt.
  std::string tls_ca = {};
  // PEM files with this client's certificate and its key, for coordinators that ask
  // for one (--tls-client-ca). Both or neither.
  std::string tls_cert = {};
  std::string tls_key = {};
  // The name that the coordinators' certificate must be for, where it is not the
  // host that is connected to.
  std::string tls_server_name = {};
  // File with the token to send: its first line that is neither empty nor begins
  // with #.
  std::string token_file = {};
  // Send the token without TLS, though others could read it on its way: where
  // something else encrypts. Not needed on loopback and unix sockets.
  bool allow_insecure_tokens = false;

  // `coordinator`: where the client connects to. INVALID_ARGUMENT naming field, value
  // and what is allowed. Does not look at the files.
  absl::Status Validate(const std::string& coordinator) const;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_CONNECTION_SECURITY_H_
