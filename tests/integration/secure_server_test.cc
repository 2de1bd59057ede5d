// The gRPC server with certificates and tokens: who may connect, who may call, what
// is replaced while it serves, and what clients are told that may not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/channel.h"
#include "service/rpc/server.h"
#include "service/security/tls_probe.h"
#include "store/memory/memory_store.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/health.h"
#include "tests/integration/raw_call.h"
#include "tests/service/answers.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::Not;

constexpr char kListStreams[] = "/lowmark.v1.AdminService/ListStreams";
constexpr char kWorker[] = "Bearer worker-0123456789";
constexpr char kAdmin[] = "Bearer admin-0123456789";

class SecureServerTest : public testing::Test {
 protected:
  SecureServerTest() {
    files_.MakeCa("ca");
    files_.MakeCa("other-ca");
    files_.Make("server", "ca");
    files_.Make("client", "ca");
    Mount("server");
    files_.Write("workers", "worker-0123456789\n");
    files_.Write("admins", "admin-0123456789\n");
  }
  ~SecureServerTest() override {
    coordinator_.Drain();
    server_.reset();
  }

  // Has the server's secret hold that certificate.
  void Mount(const std::string& certificate, const std::string& key = "") {
    const std::string& of_key = key.empty() ? certificate : key;
    files_.Mount("secret", {{"tls.crt", certificate + ".crt"}, {"tls.key", of_key + ".key"}});
  }
  ServerSecurity Tls() {
    return {.tls_cert = files_.Path("secret/tls.crt"), .tls_key = files_.Path("secret/tls.key")};
  }
  ServerSecurity MutualTls() {
    ServerSecurity security = Tls();
    security.tls_client_ca = files_.Path("ca.crt");
    return security;
  }
  ServerSecurity Tokens() {
    return {.worker_tokens = files_.Path("workers"), .admin_tokens = files_.Path("admins")};
  }
  void Start(const ServerSecurity& security) {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.security = security;
    auto server = Server::Start(coordinator_, registry_, options, news_.Sink());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::shared_ptr<ClientSecrets> Secrets(const ConnectionSecurity& security) {
    auto secrets = ClientSecrets::Load(security, server_->address());
    EXPECT_TRUE(secrets.ok()) << secrets.status();
    return *std::move(secrets);
  }
  // A new connection.
  std::shared_ptr<grpc::Channel> Channel(const ConnectionSecurity& security = {}) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return MakeChannel(server_->address(), *Secrets(security), arguments);
  }
  absl::Status List(const std::shared_ptr<grpc::Channel>& channel,
                    const std::string& authorization = "") {
    return RawCall(channel, kListStreams, "", kPatience, nullptr, authorization);
  }
  std::string Explain(const ConnectionSecurity& security) {
    return ExplainConnection(server_->address(), *Secrets(security), kPatience);
  }
  ConnectionSecurity Trusting(const std::string& ca, const std::string& client = "") {
    ConnectionSecurity security = {.tls_ca = files_.Path(ca + ".crt")};
    if (client.empty()) return security;
    security.tls_cert = files_.Path(client + ".crt");
    security.tls_key = files_.Path(client + ".key");
    return security;
  }
  // The sum of a metric's series with that label.
  double Metric(const std::string& name, const std::string& label = "") {
    double sum = 0;
    for (const auto& family : registry_.Collect()) {
      if (family.name != name) continue;
      for (const auto& series : family.metric) {
        if (!label.empty() && series.label.at(0).value != label) continue;
        sum += series.counter.value + series.gauge.value;
      }
    }
    return sum;
  }

  TestCertificates files_;
  MemoryStore store_;
  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  Coordinator coordinator_{store_, metrics_, {}};
  Answers<SecretsNews> news_;
  std::unique_ptr<Server> server_;
};

// --- Tokens ----------------------------------------------------------------------

TEST_F(SecureServerTest, EveryMethodAsksForAToken) {
  Start(Tokens());
  const auto channel = Channel();
  for (const auto* method : AllMethods()) {
    const std::string path = absl::StrCat("/", method->service()->full_name(), "/", method->name());
    const auto call = [&](const std::string& authorization) {
      return RawCall(channel, path, "", kPatience, nullptr, authorization);
    };
    for (const char* nobody : {"", "Bearer nobody-0123456789", "Basic admin-0123456789"}) {
      EXPECT_EQ(call(nobody).code(), absl::StatusCode::kUnauthenticated) << path;
      EXPECT_EQ(Reason(call(nobody)), kUnauthenticated) << path;
    }
    const absl::Status worker = call(kWorker);
    if (method->service()->name() == "CoordinatorService") {
      EXPECT_EQ(worker.code(), absl::StatusCode::kInvalidArgument) << path << worker;
    } else {
      EXPECT_EQ(worker.code(), absl::StatusCode::kPermissionDenied) << path << worker;
      EXPECT_EQ(Reason(worker), kPermissionDenied) << path;
    }
    const absl::Status admin = call(kAdmin);
    EXPECT_TRUE(admin.ok() || absl::IsInvalidArgument(admin)) << path << admin;
    for (const absl::Status& status : {worker, admin, call("Bearer nobody-0123456789")}) {
      EXPECT_THAT(std::string(status.message()), Not(HasSubstr("0123456789"))) << path;
    }
  }
  const auto methods = static_cast<double>(AllMethods().size());
  EXPECT_EQ(Metric("lowmark_calls_refused_total", kUnauthenticated), 7 * methods);
  EXPECT_GT(Metric("lowmark_calls_refused_total", kPermissionDenied), 0);
}

// Every method of a worker's asks what stream its token is for.
TEST_F(SecureServerTest, AWorkersTokenMayBeForSomeStreamsAlone) {
  files_.Write("workers", "worker-0123456789 orders-*\n");
  Start(Tokens());
  const auto channel = Channel();
  for (const auto* method : AllMethods()) {
    if (method->service()->name() != "CoordinatorService") continue;
    const std::string path = absl::StrCat("/", method->service()->full_name(), "/", method->name());
    const auto call = [&](const std::string& stream) {
      const std::string request =
          absl::StrCat("\x0a", std::string(1, static_cast<char>(stream.size())), stream);
      return RawCall(channel, path, request, kPatience, nullptr, kWorker);
    };
    EXPECT_EQ(call("orders-eu").code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_EQ(Reason(call("orders")), kPermissionDenied) << path << call("orders");
    EXPECT_THAT(std::string(call("orders").message()), HasSubstr("than \"orders\""));
  }
}

TEST_F(SecureServerTest, HealthAndReflectionAreOpen) {
  Start(Tokens());
  server_->SetServing(true);
  EXPECT_EQ(Health(Channel(), "lowmark.v1.AdminService"), "SERVING");
  EXPECT_THAT(ListServices(Channel()), testing::Contains("lowmark.v1.AdminService"));
}

TEST_F(SecureServerTest, TokensAreReplacedWhileItServes) {
  Start(Tokens());
  const auto channel = Channel();
  EXPECT_EQ(List(channel, kAdmin), absl::OkStatus());
  files_.Write("admins", "admin-0123456789\nadmin-9876543210\n");
  EXPECT_TRUE(Eventually([&] { return List(channel, "Bearer admin-9876543210").ok(); }));
  EXPECT_EQ(List(channel, kAdmin), absl::OkStatus());
  files_.Write("admins", "admin-9876543210\n");
  EXPECT_TRUE(Eventually([&] { return absl::IsUnauthenticated(List(channel, kAdmin)); }));
  EXPECT_EQ(List(channel, "Bearer admin-9876543210"), absl::OkStatus());
}

// --- Certificates ------------------------------------------------------------------

TEST_F(SecureServerTest, ByTlsWithAndWithoutATokenOfTheClient) {
  ServerSecurity security = Tls();
  security.admin_tokens = files_.Path("admins");
  Start(security);
  EXPECT_EQ(List(Channel(Trusting("ca")), kAdmin), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnauthenticated(List(Channel(Trusting("ca")))));
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(), kAdmin)));
  EXPECT_EQ(Explain(Trusting("ca")), "");
}

TEST_F(SecureServerTest, AClientNeedsACertificateOfItsCa) {
  Start(MutualTls());
  files_.Make("stranger", "other-ca");
  EXPECT_EQ(List(Channel(Trusting("ca", "client"))), absl::OkStatus());
  EXPECT_EQ(Explain(Trusting("ca", "client")), "");
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(Trusting("ca")))));
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(Trusting("ca", "stranger")))));
}

TEST_F(SecureServerTest, ACertificateIsReplacedWhileItServes) {
  Start(Tls());
  const auto before = Channel(Trusting("ca"));
  EXPECT_EQ(List(before), absl::OkStatus());
  const double expiry = Metric("lowmark_certificate_expiry_timestamp_seconds");
  EXPECT_GT(expiry, absl::ToUnixSeconds(absl::Now()));
  files_.Make("renewed", "other-ca", {.days = 9});
  Mount("renewed");
  EXPECT_TRUE(Eventually([&] { return List(Channel(Trusting("other-ca"))).ok(); }));
  EXPECT_EQ(List(before), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(Trusting("ca")))));
  EXPECT_GT(Metric("lowmark_certificate_expiry_timestamp_seconds"), expiry + 6 * 86400);
  EXPECT_THAT(news_.All().at(0).replaced, Each("certificates"));
}

TEST_F(SecureServerTest, ACertificateWithAnothersKeyChangesNothing) {
  Start(Tls());
  files_.Make("renewed", "ca");
  Mount("renewed", "client");
  ASSERT_TRUE(news_.Await(1));
  EXPECT_THAT(std::string(news_.All()[0].wrong.at(0).message()),
              HasSubstr("does not belong to the certificate"));
  EXPECT_EQ(List(Channel(Trusting("ca"))), absl::OkStatus());
  EXPECT_EQ(Metric("lowmark_secrets_refused_total"), 1);
  Mount("renewed");
  EXPECT_TRUE(news_.Await(2));
  EXPECT_EQ(List(Channel(Trusting("ca"))), absl::OkStatus());
}

TEST_F(SecureServerTest, TheClientsCaIsReplacedToo) {
  files_.Write("client-ca", files_.Read("ca.crt"));
  ServerSecurity security = MutualTls();
  security.tls_client_ca = files_.Path("client-ca");
  Start(security);
  files_.Make("stranger", "other-ca");
  EXPECT_FALSE(List(Channel(Trusting("ca", "stranger"))).ok());
  files_.Write("client-ca", files_.Read("ca.crt") + files_.Read("other-ca.crt"));
  EXPECT_TRUE(Eventually([&] { return List(Channel(Trusting("ca", "stranger"))).ok(); }));
  EXPECT_EQ(List(Channel(Trusting("ca", "client"))), absl::OkStatus());
}

TEST_F(SecureServerTest, DoesNotStartWithFilesThatAreOfNoUse) {
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.security = Tls();
  options.security.tls_key = files_.Path("client.key");
  EXPECT_THAT(std::string(Server::Start(coordinator_, registry_, options).status().message()),
              HasSubstr("tls-key is"));
  options.security = Tokens();
  options.listen = "0.0.0.0:0";
  EXPECT_THAT(std::string(Server::Start(coordinator_, registry_, options).status().message()),
              HasSubstr("others could read tokens on their way to 0.0.0.0:0"));
}

// --- What stands in the way ----------------------------------------------------------

TEST_F(SecureServerTest, ExplainsWhatIsWrongWithTheServersCertificate) {
  Start(Tls());
  EXPECT_THAT(Explain(Trusting("other-ca")),
              HasSubstr("its certificate is signed by none of the CAs in --tls-ca ("));
  ConnectionSecurity named = Trusting("ca");
  named.tls_server_name = "coordinator.example";
  EXPECT_EQ(Explain(named),
            "its certificate is for localhost, 127.0.0.1, not for coordinator.example: connect to "
            "a name that it is for, or give --tls-server-name");
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(named))));
  named.tls_server_name = "localhost";
  EXPECT_EQ(Explain(named), "");
  EXPECT_EQ(List(Channel(named)), absl::OkStatus());
}

TEST_F(SecureServerTest, ExplainsAnExpiredCertificate) {
  files_.Make("old", "ca", {.days = -1});
  Mount("old");
  Start(Tls());
  EXPECT_THAT(Explain(Trusting("ca")), HasSubstr("its certificate expired on 2"));
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(Trusting("ca")))));
}

TEST_F(SecureServerTest, ExplainsTlsOnOneSideAlone) {
  Start(Tls());
  EXPECT_EQ(Explain({}), "it speaks TLS: give the file of its CA with --tls-ca");
  server_.reset();
  Start({});
  EXPECT_EQ(Explain({}), "");
  EXPECT_EQ(Explain(Trusting("ca")),
            "it speaks no TLS: leave --tls-ca out, or start it with --tls-cert and --tls-key");
  EXPECT_TRUE(absl::IsUnavailable(List(Channel(Trusting("ca")))));
}

TEST_F(SecureServerTest, ExplainsWhatIsWrongWithTheClientsCertificate) {
  Start(MutualTls());
  EXPECT_EQ(Explain({}), "it speaks TLS: give the file of its CA with --tls-ca");
  EXPECT_EQ(Explain(Trusting("ca")),
            "it asks for a certificate of the client: give --tls-cert and --tls-key");
  files_.Make("stranger", "other-ca");
  EXPECT_EQ(Explain(Trusting("ca", "stranger")),
            "it refuses the certificate in --tls-cert: one of the CAs in the coordinator's "
            "--tls-client-ca must have signed it");
  files_.Make("old", "ca", {.days = -1});
  EXPECT_THAT(Explain(Trusting("ca", "old")),
              HasSubstr("it refuses the certificate in --tls-cert, which expired on 2"));
}

TEST_F(SecureServerTest, ExplainsNothingWhereNobodyListens) {
  Start(Tls());
  const std::string address = server_->address();
  const auto secrets = Secrets(Trusting("ca"));
  server_.reset();
  EXPECT_EQ(ExplainConnection(address, *secrets, kPatience), "");
  EXPECT_EQ(ExplainConnection("no.such.host.invalid:1", *secrets, kPatience), "");
}

}  // namespace
}  // namespace lowmark
