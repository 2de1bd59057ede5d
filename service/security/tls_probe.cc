#include "service/security/tls_probe.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/security/pem.h"
#include "service/security/target.h"

namespace lowmark {
namespace {

// OpenSSL writes with write(2): a peer that has closed would end the process.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec at_once = {};
    while (sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
};

// A connected socket.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

// -1 where nobody answers.
Socket ConnectTo(int family, const sockaddr* address, socklen_t size, absl::Duration timeout) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience = absl::ToTimeval(timeout);
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket.fd(), address, size) == 0) return socket;
  return Socket(-1);
}

Socket ConnectTo(const Target::Host& host, absl::Duration timeout) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.name.c_str(), host.port.c_str(), &hints, &found) != 0) return Socket(-1);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Socket socket = ConnectTo(each->ai_family, each->ai_addr, each->ai_addrlen, timeout);
    if (socket.fd() >= 0) return socket;
  }
  return Socket(-1);
}

Socket ConnectTo(const Target& target, absl::Duration timeout) {
  if (!target.unix_path.empty()) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    target.unix_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return ConnectTo(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address),
                     timeout);
  }
  for (const Target::Host& host : target.hosts) {
    Socket socket = ConnectTo(host, timeout);
    if (socket.fd() >= 0) return socket;
  }
  return Socket(-1);
}

// A handshake, and what came of it.
struct Handshake {
  bool accepted = false;     // by both sides, as far as they say
  bool asked = false;        // for the client's certificate
  bool plain = false;        // the other side speaks no TLS
  int alert = 0;             // that the other side sent; 0 for none
  long verdict = X509_V_OK;  // of the server's certificates  NOLINT(google-runtime-int)
  Certificate certificate;   // the one that it is about; null where the server sent none
};

// Ends the handshake at the first error. The connection would not tell of what it was
// about then.
int NoteVerdict(int good, X509_STORE_CTX* store) {
  if (good == 1) return 1;
  const auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* handshake = static_cast<Handshake*>(SSL_get_app_data(connection));
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (certificate == nullptr) certificate = X509_STORE_CTX_get0_cert(store);
  X509_up_ref(certificate);
  handshake->certificate.reset(certificate);
  handshake->verdict = X509_STORE_CTX_get_error(store);
  return 0;
}

int NoteAsked(SSL*, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 1;
}

void SetTls(SSL_CTX& context, const TlsTexts& tls) {
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (const Certificate& ca : ParseCertificates(tls.ca)) X509_STORE_add_cert(store, ca.get());
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER, NoteVerdict);
  if (tls.certificate.empty()) return;
  const std::vector<Certificate> chain = ParseCertificates(tls.certificate);
  SSL_CTX_use_certificate(&context, chain.front().get());
  for (size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(&context, chain[i].get());
  SSL_CTX_use_PrivateKey(&context, ParseKey(tls.key).get());
}

void SetName(SSL& connection, const std::string& name) {
  X509_VERIFY_PARAM* verify = SSL_get0_param(&connection);
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) == 1) return;
  X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size());
  SSL_set_tlsext_host_name(&connection, name.c_str());
}

void NoteError(Handshake& handshake) {
  for (unsigned long error; (error = ERR_get_error()) != 0;) {  // NOLINT(google-runtime-int)
    const int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) != ERR_LIB_SSL) continue;
    if (reason >= SSL_AD_REASON_OFFSET) handshake.alert = reason - SSL_AD_REASON_OFFSET;
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
        reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNSUPPORTED_PROTOCOL) {
      handshake.plain = true;
    }
  }
}

// `tls` null: whoever it is. Where the server's certificate is good, waits for what
// the server says next: its settings, or that it does not like the client's.
Handshake Shake(const Socket& socket, const TlsTexts* tls, const std::string& name) {
  Handshake handshake;
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, FreeOpenSsl> context(SSL_CTX_new(TLS_client_method()));
  if (tls != nullptr) SetTls(*context, *tls);
  SSL_CTX_set_cert_cb(context.get(), NoteAsked, &handshake.asked);
  const unsigned char protocols[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), protocols, sizeof(protocols));
  const std::unique_ptr<SSL, FreeOpenSsl> connection(SSL_new(context.get()));
  SSL_set_app_data(connection.get(), &handshake);
  SSL_set_fd(connection.get(), socket.fd());
  if (tls != nullptr) SetName(*connection, name);
  const bool done = SSL_connect(connection.get()) == 1;
  if (handshake.certificate == nullptr) {
    handshake.certificate.reset(SSL_get1_peer_certificate(connection.get()));
  }
  if (done && tls != nullptr) {
    char byte = 0;
    const int read = SSL_read(connection.get(), &byte, 1);
    // One that says nothing has nothing against it.
    handshake.accepted = read == 1 || SSL_get_error(connection.get(), read) == SSL_ERROR_WANT_READ;
  }
  NoteError(handshake);
  return handshake;
}

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

std::string ExplainVerdict(const Handshake& handshake, const std::string& name) {
  X509& certificate = *handshake.certificate;
  switch (handshake.verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::StrCat("its certificate expired on ", Date(NotAfter(certificate)),
                          ": give the coordinator a new one");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::StrCat("its certificate is valid from ", Date(NotBefore(certificate)),
                          " on: look at both clocks");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::StrCat("its certificate is for ", NamesOf(certificate), ", not for ", name,
                          ": connect to a name that it is for, or give --tls-server-name");
    default:
      return absl::StrCat("its certificate is signed by none of the CAs in --tls-ca (",
                          X509_verify_cert_error_string(handshake.verdict),
                          "): give the file of the CA that signed it");
  }
}

// Of a handshake that TlsTexts were given to.
std::string Explain(const Handshake& handshake, const TlsTexts& tls, const std::string& name) {
  if (handshake.accepted) return "";
  if (handshake.certificate != nullptr && handshake.verdict != X509_V_OK) {
    return ExplainVerdict(handshake, name);
  }
  if (handshake.plain) {
    return "it speaks no TLS: leave --tls-ca out, or start it with --tls-cert and --tls-key";
  }
  if (handshake.asked && tls.certificate.empty()) {
    return "it asks for a certificate of the client: give --tls-cert and --tls-key";
  }
  if (handshake.asked) {
    const bool old = tls.expires < absl::Now();
    return old ? absl::StrCat("it refuses the certificate in --tls-cert, which expired on ",
                              Date(tls.expires), ": give a new one")
               : "it refuses the certificate in --tls-cert: one of the CAs in the coordinator's "
                 "--tls-client-ca must have signed it";
  }
  if (handshake.alert != 0) {
    return absl::StrCat("it ends the TLS handshake (", SSL_alert_desc_string_long(handshake.alert),
                        ")");
  }
  return "";
}

}  // namespace

std::string ExplainConnection(const std::string& coordinator, const ClientSecrets& secrets,
                              absl::Duration timeout) {
  const NoPipeSignal quiet;
  const Target target = ParseTarget(coordinator);
  const Socket socket = ConnectTo(target, timeout);
  if (socket.fd() < 0) return "";
  const std::shared_ptr<const TlsTexts> tls = secrets.tls();
  if (tls == nullptr) {
    return Shake(socket, nullptr, "").certificate == nullptr
               ? ""
               : "it speaks TLS: give the file of its CA with --tls-ca";
  }
  std::string name = secrets.server_name();
  if (name.empty()) name = target.hosts.empty() ? "localhost" : target.hosts.front().name;
  return Explain(Shake(socket, tls.get(), name), *tls, name);
}

}  // namespace lowmark
