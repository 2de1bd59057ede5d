#include "service/rpc/reloading_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <string>
#include <utility>

namespace lowmark {
namespace {

// gRPC's own FileWatcherCertificateProvider takes whatever the files hold: while a
// key and a certificate do not go together, nobody can connect. The function that
// gRPC's core asks before each handshake leaves the choice to us.
class Credentials final : public grpc::ServerCredentials {
 public:
  explicit Credentials(const Reloaded<TlsTexts>& tls) : tls_(tls) {
    const auto ask = tls.current()->ca.empty()
                         ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                         : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(ask, &FetchFrom, this));
  }
  ~Credentials() override { grpc_server_credentials_release(credentials_); }

  // Tokens are looked at where calls are: here they would get no reason.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status FetchFrom(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<Credentials*>(self)->Fetch(config);
  }

  // A listening socket takes one connection after the other, so that gRPC replaces
  // what it has while no handshake begins.
  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const TlsTexts> current = tls_.current();
    MutexLock lock(mutex_);
    if (current == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {current->key.c_str(), current->certificate.c_str()};
    // Debian's gRPC ends the process without any CA, also where no client is asked for a
    // certificate; there it does not matter which.
    const std::string& ca = current->ca.empty() ? current->certificate : current->ca;
    *config = grpc_ssl_server_certificate_config_create(ca.c_str(), &pair, 1);
    given_ = std::move(current);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const Reloaded<TlsTexts>& tls_;
  grpc_server_credentials* credentials_ = nullptr;
  Mutex mutex_;
  std::shared_ptr<const TlsTexts> given_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ReloadingCredentials(const Reloaded<TlsTexts>& tls) {
  return std::make_shared<Credentials>(tls);
}

}  // namespace lowmark
