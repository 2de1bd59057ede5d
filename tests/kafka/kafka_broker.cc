#include "tests/kafka/kafka_broker.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

// Whether the condition came true in time.
template <typename Condition>
bool Await(Condition condition) {
  for (const absl::Time deadline = absl::Now() + kPatience; !condition();) {
    if (absl::Now() > deadline) return false;
    poll(nullptr, 0, /*timeout_ms=*/50);
  }
  return true;
}

std::vector<std::string> Kcat(const std::string& mode, const std::string& address) {
  std::vector<std::string> argv = {"kcat", mode, "-b", address};
  for (const std::string& property : KafkaBroker::Properties()) {
    argv.insert(argv.end(), {"-X", property});
  }
  return argv;
}

}  // namespace

KafkaBroker::KafkaBroker(std::string directory, std::string host)
    : directory_(std::move(directory)), host_(std::move(host)) {
  std::filesystem::create_directories(directory_);
}

KafkaBroker::~KafkaBroker() {
  broker_.reset();
  zookeeper_.reset();
}

std::vector<std::string> KafkaBroker::Properties() {
  return {"api.version.request=false", "broker.version.fallback=0.9.0.1"};
}

void KafkaBroker::UseCertificates(const std::string& certificates) { certificates_ = certificates; }

void KafkaBroker::UseKerberos(const std::string& realm) { realm_ = realm; }

void KafkaBroker::WriteSettings() const {
  // A broker that was killed may come back when its session has ended: let that be soon.
  std::ofstream(directory_ + "/zookeeper.properties")
      << "dataDir=" << directory_ << "/zookeeper\nclientPort=2181\nclientPortAddress=" << host_
      << "\ntickTime=500\nmaxClientCnxns=0\n";
  std::ofstream settings(directory_ + "/broker.properties");
  settings << "broker.id=0\nlog.dirs=" << directory_ << "/logs\nzookeeper.connect=" << host_
           << ":2181\nzookeeper.connection.timeout.ms=60000\nzookeeper.session.timeout.ms=2000\n"
           << "auto.create.topics.enable=false\noffsets.topic.num.partitions=1\n"
           << "offsets.topic.replication.factor=1\nhost.name=" << host_
           << "\nlisteners=PLAINTEXT://" << address();
  if (!certificates_.empty()) settings << ",SSL://" << tls_address();
  if (!realm_.empty()) settings << ",SASL_PLAINTEXT://" << kerberos_address();
  settings << "\n";
  if (!realm_.empty()) settings << "sasl.kerberos.service.name=kafka\n";
  if (certificates_.empty()) return;
  settings << "ssl.client.auth=required\n";
  for (const auto& [store, file] : {std::pair("keystore", "broker"), {"truststore", "trust"}}) {
    settings << "ssl." << store << ".location=" << certificates_ << "/" << file << ".p12\nssl."
             << store << ".type=PKCS12\nssl." << store << ".password=password\n";
  }
  settings << "ssl.key.password=password\n";
}

std::unique_ptr<ChildProcess> KafkaBroker::Java(const std::string& main, const std::string& heap,
                                                std::vector<std::string> arguments) const {
  const char* libraries = std::getenv("KAFKA_LIBS");
  EXPECT_NE(libraries, nullptr) << "KAFKA_LIBS is not set; run tests/kafka/run";
  if (libraries == nullptr) return nullptr;
  ProcessOptions options;
  options.argv = {
      "java",
      "-Xmx" + heap,
      "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC",
      absl::StrCat("-Dlog4j.configuration=file:", libraries, "/../config/tools-log4j.properties"),
      "-cp",
      absl::StrCat(libraries, "/*")};
  if (!realm_.empty()) {
    options.argv.push_back(absl::StrCat("-Djava.security.krb5.conf=", realm_, "/krb5.conf"));
    options.argv.push_back(
        absl::StrCat("-Djava.security.auth.login.config=", realm_, "/jaas.conf"));
  }
  options.argv.push_back(main);
  std::move(arguments.begin(), arguments.end(), std::back_inserter(options.argv));
  options.out = Output::File(directory_ + "/java.log");
  options.err = Output::Stdout();
  auto process = ChildProcess::Start(options);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? *std::move(process) : nullptr;
}

std::unique_ptr<ChildProcess> KafkaBroker::LaunchBroker() const {
  return Java("kafka.Kafka", "384m", {directory_ + "/broker.properties"});
}

void KafkaBroker::Start() {
  WriteSettings();
  if (zookeeper_ == nullptr) {
    zookeeper_ = Java("org.apache.zookeeper.server.quorum.QuorumPeerMain", "96m",
                      {directory_ + "/zookeeper.properties"});
  }
  broker_ = LaunchBroker();
  ASSERT_TRUE(Await([&] {
    // It gives up where ZooKeeper still has the one that was killed.
    if (broker_->Wait(absl::ZeroDuration())) broker_ = LaunchBroker();
    return Answers();
  })) << Log();
}

void KafkaBroker::Stop() { broker_->Terminate(absl::Minutes(1)); }

void KafkaBroker::Kill() { broker_->Kill(); }

bool KafkaBroker::Answers() const {
  std::vector<std::string> argv = Kcat("-L", address());
  argv.insert(argv.end(), {"-m", "2"});
  auto answer = RunCommand({.argv = std::move(argv)}, absl::Seconds(20));
  return answer.ok() && answer->exit.ok() &&
         answer->output.find("broker 0 at " + host_) != std::string::npos;
}

void KafkaBroker::CreateTopic(const std::string& topic, int partitions) {
  const auto tool = Java("kafka.admin.TopicCommand", "96m",
                         {"--zookeeper", host_ + ":2181", "--create", "--topic", topic,
                          "--replication-factor", "1", "--partitions", absl::StrCat(partitions)});
  const auto exit = tool->Wait(kPatience);
  ASSERT_TRUE(exit && exit->ok()) << Log();
}

void KafkaBroker::Produce(const std::string& topic, int partition,
                          const std::vector<std::string>& messages, const std::string& codec) {
  const std::string file = directory_ + "/messages";
  std::ofstream lines(file);
  for (const std::string& message : messages) lines << message << "\n";
  lines.close();
  std::vector<std::string> argv = Kcat("-P", address());
  argv.insert(argv.end(), {"-t", topic, "-p", absl::StrCat(partition), "-z", codec, "-l", file});
  auto produced = RunCommand({.argv = std::move(argv)}, kPatience);
  ASSERT_TRUE(produced.ok()) << produced.status();
  ASSERT_TRUE(produced->exit.ok()) << produced->output << Log();
}

std::string KafkaBroker::Log() const {
  std::ifstream file(directory_ + "/java.log");
  return absl::StrCat("\nKafka said:\n", std::string((std::istreambuf_iterator<char>(file)), {}));
}

}  // namespace lowmark
