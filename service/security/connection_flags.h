// The flags of a ConnectionSecurity, the same for every program that is a client.
#ifndef LOWMARK_SERVICE_SECURITY_CONNECTION_FLAGS_H_
#define LOWMARK_SERVICE_SECURITY_CONNECTION_FLAGS_H_

#include <string>

#include "service/process/options.h"
#include "service/security/connection_security.h"

namespace lowmark {

// --tls-ca, --tls-cert, --tls-key, --tls-server-name, --token-file and
// --allow-insecure-tokens of a command, in that group of its help.
void AddConnectionFlags(Options& options, CLI::App& command, ConnectionSecurity& security,
                        const std::string& group);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_CONNECTION_FLAGS_H_
