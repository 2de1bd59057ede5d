// Apache Kafka's own broker as the source of real workers: with records that fail, and
// stopped and killed meanwhile, the ledger is exact; TLS with certificates of both sides,
// and SASL by Kerberos, and what is said where they are wrong. tests/kafka/run runs this.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/world.h"
#include "tests/kafka/kafka_broker.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

constexpr int kPartitions = 6;

class KafkaBrokerTest : public testing::Test {
 protected:
  KafkaBrokerTest() {
    // An address that this process has for itself.
    const std::string own = World::Address(0);
    host_ = own.substr(0, own.rfind(':'));
    std::string name = "/tmp/lowmark-kafka-XXXXXX";
    directory_ = mkdtemp(name.data());
    broker_ = std::make_unique<KafkaBroker>(directory_ + "/broker", host_);
  }
  ~KafkaBrokerTest() override {
    world_.reset();
    broker_.reset();
    if (!HasFailure()) std::filesystem::remove_all(directory_);
  }

  // Lowmark, with workers that read `address` and settings that lie in properties().
  void StartLowmark(const std::string& address,
                    const std::vector<std::pair<std::string, std::string>>& env = {}) {
    WorldOptions options;
    options.worker_env = env;
    options.source = {"--source",      "kafka", "--kafka-brokers",         address,
                      "--kafka-topic", "t",     "--kafka-properties-file", properties()};
    world_ = std::make_unique<World>(options);
    world_->StartPostgres();
    world_->StartCoordinator();
    ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
    world_->CreateStream();
  }

  std::string properties() const { return directory_ + "/client.properties"; }
  void WriteProperties(const std::vector<std::string>& more = {}) const {
    std::ofstream file(properties());
    for (const std::string& property : KafkaBroker::Properties()) file << property << "\n";
    for (const std::string& property : more) file << property << "\n";
  }

  // Appends records to each partition, each compressed in another way.
  void Produce(int records) {
    static constexpr std::array<const char*, 4> kCodecs = {"none", "gzip", "snappy", "lz4"};
    for (int partition = 0; partition < kPartitions; ++partition) {
      std::vector<std::string> messages;
      for (int i = 0; i < records; ++i) {
        const int n = ++numbers_[partition];
        const std::string kind = World::KindOf(n);
        messages.push_back(absl::StrCat("{\"n\": ", n, ", \"kind\": \"", kind, "\"}"));
        world_->Expect(absl::StrCat("t-", partition), n, absl::StrCat(n - 1), kind);
      }
      broker_->Produce("t", partition, messages, kCodecs[partition % kCodecs.size()]);
    }
  }

  // The lines of a worker's log that say that Kafka cannot be reached.
  std::vector<std::string> Unreachable(int worker) const {
    std::vector<std::string> found;
    std::istringstream lines(world_->Log(absl::StrCat("worker-", worker)));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("cannot be reached") != std::string::npos) found.push_back(line);
    }
    return found;
  }

  // A worker with these settings says once that, and why, Kafka cannot be reached.
  void ExpectRefused(const std::vector<std::string>& settings, const std::string& why) {
    SCOPED_TRACE(why);
    const int worker = next_worker_++;
    WriteProperties(settings);
    world_->StartWorker(worker);
    EXPECT_TRUE(world_->Await([&] {
      double errors = 0;
      for (const auto& [labels, count] :
           world_->Metric(absl::StrCat("worker-", worker), "lowmark_worker_source_errors_total")) {
        errors += count;
      }
      return errors >= 3;
    })) << world_->Log(absl::StrCat("worker-", worker));
    const std::vector<std::string> said = Unreachable(worker);
    EXPECT_EQ(said.size(), 1) << world_->Log(absl::StrCat("worker-", worker));
    EXPECT_THAT(said, testing::Each(HasSubstr(why)));
    EXPECT_TRUE(world_->Stop(*world_->worker(worker)));
  }

  // A worker with these settings processes all records, and none twice.
  void ExpectProcessed(const std::vector<std::string>& settings) {
    WriteProperties(settings);
    Produce(40);
    const int worker = next_worker_++;
    world_->StartWorker(worker);
    ASSERT_TRUE(world_->AwaitProcessed()) << world_->Log(absl::StrCat("worker-", worker));
    EXPECT_TRUE(world_->Stop(*world_->worker(worker)));
    EXPECT_THAT(world_->CheckLedger(), testing::IsEmpty());
    EXPECT_THAT(Unreachable(worker), testing::IsEmpty());
  }

  std::string host_;
  std::string directory_;
  std::unique_ptr<KafkaBroker> broker_;
  std::unique_ptr<World> world_;
  std::map<int, int> numbers_;
  int next_worker_ = 0;
};

TEST_F(KafkaBrokerTest, NothingIsLostOrRepeatedAsTheBrokerIsStoppedAndKilled) {
  broker_->Start();
  broker_->CreateTopic("t", kPartitions);
  WriteProperties();
  StartLowmark(broker_->address());
  Produce(100);
  for (int i = 0; i < 2; ++i) world_->StartWorker(i);
  ASSERT_TRUE(world_->AwaitProgress(60)) << world_->Log("worker-0");
  broker_->Stop();
  ASSERT_TRUE(world_->Await([&] { return !Unreachable(0).empty() && !Unreachable(1).empty(); }))
      << world_->Log("worker-0") << world_->Log("worker-1");
  broker_->Start();
  Produce(60);
  ASSERT_TRUE(world_->AwaitProgress(60)) << world_->Log("worker-0");
  broker_->Kill();
  broker_->Start();
  Produce(40);
  ASSERT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0") << world_->Log("worker-1");
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(world_->Stop(*world_->worker(i)));
  EXPECT_THAT(world_->CheckLedger(), testing::IsEmpty()) << "processed twice";
  EXPECT_EQ(world_->ReadLedger().first_taken.size(), kPartitions);
}

class KafkaTlsTest : public KafkaBrokerTest {
 protected:
  KafkaTlsTest() : certificates_(directory_ + "/certificates") {
    auto made = RunCommand({.argv = {CERTIFICATES, certificates_, host_}}, absl::Minutes(1));
    EXPECT_TRUE(made.ok() && made->exit.ok()) << (made.ok() ? made->output : "");
    broker_->UseCertificates(certificates_);
  }

  std::vector<std::string> Tls(const std::string& authority, bool with_certificate = true) const {
    std::vector<std::string> settings = {
        "security.protocol=ssl", absl::StrCat("ssl.ca.location=", certificates_, "/", authority)};
    if (with_certificate) {
      settings.push_back(absl::StrCat("ssl.certificate.location=", certificates_, "/client.pem"));
      settings.push_back(absl::StrCat("ssl.key.location=", certificates_, "/client.key"));
    }
    return settings;
  }

  const std::string certificates_;
};

TEST_F(KafkaTlsTest, RecordsAreReadWithCertificatesOfBothSides) {
  broker_->Start();
  broker_->CreateTopic("t", kPartitions);
  StartLowmark(broker_->tls_address());
  ExpectRefused(Tls("other-ca.pem"), "certificate verify failed");
  ExpectRefused(Tls("ca.pem", /*with_certificate=*/false),
                "client SSL authentication might be required");
  ExpectRefused({}, "verify that security.protocol is correctly configured");
  ExpectProcessed(Tls("ca.pem"));
}

TEST_F(KafkaTlsTest, TlsToAPortWithoutItIsSaidInOneLine) {
  broker_->Start();
  broker_->CreateTopic("t", 1);
  StartLowmark(broker_->address());
  ExpectRefused(Tls("ca.pem"), "does that port speak TLS");
}

class KafkaKerberosTest : public KafkaBrokerTest {
 protected:
  KafkaKerberosTest() : realm_(directory_ + "/realm") {
    auto made = RunCommand({.argv = {KERBEROS, realm_, host_}}, absl::Minutes(1));
    EXPECT_TRUE(made.ok() && made->exit.ok()) << (made.ok() ? made->output : "");
    ProcessOptions options;
    options.argv = {"/usr/sbin/krb5kdc", "-n"};
    options.env = {Conf(), {"KRB5_KDC_PROFILE", realm_ + "/kdc.conf"}};
    options.out = Output::File(realm_ + "/kdc.log");
    options.err = Output::Stdout();
    auto center = ChildProcess::Start(options);
    EXPECT_TRUE(center.ok()) << center.status();
    if (center.ok()) center_ = *std::move(center);
    broker_->UseKerberos(realm_);
  }

  std::pair<std::string, std::string> Conf() const {
    return {"KRB5_CONFIG", realm_ + "/krb5.conf"};
  }

  std::vector<std::string> Sasl(const std::string& keytab) const {
    return {"security.protocol=sasl_plaintext", "sasl.mechanism=GSSAPI",
            "sasl.kerberos.principal=client",
            absl::StrCat("sasl.kerberos.keytab=", realm_, "/", keytab)};
  }

  const std::string realm_;
  std::unique_ptr<ChildProcess> center_;
};

TEST_F(KafkaKerberosTest, RecordsAreReadWithAKey) {
  broker_->Start();
  broker_->CreateTopic("t", kPartitions);
  StartLowmark(broker_->kerberos_address(), {Conf()});
  ExpectRefused(Sasl("other.keytab"), "No Kerberos credentials available");
  ExpectRefused({}, "verify that security.protocol is correctly configured");
  ExpectProcessed(Sasl("client.keytab"));
}

}  // namespace
}  // namespace lowmark
