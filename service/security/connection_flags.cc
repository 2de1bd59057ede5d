#include "service/security/connection_flags.h"

namespace lowmark {

void AddConnectionFlags(Options& options, CLI::App& command, ConnectionSecurity& security,
                        const std::string& group) {
  const auto add_file = [&](const char* name, std::string& value, const char* description) {
    options.Add(command, name, value, description)->type_name("FILE")->group(group);
  };
  add_file("tls-ca", security.tls_ca,
           "Connect by TLS, to coordinators with a certificate of one of these CAs");
  add_file("tls-cert", security.tls_cert, "Certificate of this client, where they ask for one");
  add_file("tls-key", security.tls_key, "Key of that certificate");
  options
      .Add(command, "tls-server-name", security.tls_server_name,
           "Name in the coordinators' certificate, where it is not the host")
      ->type_name("NAME")
      ->group(group);
  add_file("token-file", security.token_file, "Token to send: the first line of this file");
  options
      .Add(command, "allow-insecure-tokens", security.allow_insecure_tokens,
           "Send the token without TLS, where something else encrypts")
      ->group(group);
}

}  // namespace lowmark
