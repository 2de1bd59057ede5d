// A broker of Apache Kafka itself, with its ZooKeeper, for tests that want more than
// librdkafka's mock: it keeps its records on disk, can be stopped, killed and started
// again, and speaks TLS and SASL. Java's, of a release from 2016, since npm has no newer one.
//
//   KafkaBroker broker(directory, host);
//   broker.Start();
//   broker.CreateTopic("orders", 6);
//   broker.Produce("orders", 0, {"one", "two"});
#ifndef LOWMARK_TESTS_KAFKA_KAFKA_BROKER_H_
#define LOWMARK_TESTS_KAFKA_KAFKA_BROKER_H_

#include <memory>
#include <string>
#include <vector>

#include "service/process/child_process.h"

namespace lowmark {

class KafkaBroker {
 public:
  // Its files are in `directory`; it listens on `host`, an address of loopback where
  // the ports 2181, 9092, for TLS 9093, and for Kerberos 9094 are free. The environment's
  // KAFKA_LIBS names the directory of its jars.
  KafkaBroker(std::string directory, std::string host);
  ~KafkaBroker();
  KafkaBroker(const KafkaBroker&) = delete;
  KafkaBroker& operator=(const KafkaBroker&) = delete;

  // Has it listen with TLS, too, and ask clients for certificates: with broker.p12,
  // trust.p12 and the password that tests/kafka/certificates left in that directory.
  void UseCertificates(const std::string& certificates);
  // Has it listen with SASL by GSSAPI, too: with the krb5.conf, jaas.conf and keytab that
  // tests/kafka/kerberos left in that directory.
  void UseKerberos(const std::string& realm);

  std::string address() const { return host_ + ":9092"; }
  std::string tls_address() const { return host_ + ":9093"; }
  std::string kerberos_address() const { return host_ + ":9094"; }
  // What any client of librdkafka must be told, as NAME=VALUE: the broker cannot be
  // asked for its version.
  static std::vector<std::string> Properties();

  // Returns when it answers.
  void Start();
  // In order, and at once.
  void Stop();
  void Kill();

  void CreateTopic(const std::string& topic, int partitions);
  // Returns when it has them; `codec` is none, gzip, snappy or lz4.
  void Produce(const std::string& topic, int partition, const std::vector<std::string>& messages,
               const std::string& codec = "none");

 private:
  std::unique_ptr<ChildProcess> Java(const std::string& main, const std::string& heap,
                                     std::vector<std::string> arguments) const;
  std::unique_ptr<ChildProcess> LaunchBroker() const;
  bool Answers() const;
  void WriteSettings() const;
  std::string Log() const;

  const std::string directory_;
  const std::string host_;
  std::string certificates_;
  std::string realm_;
  std::unique_ptr<ChildProcess> zookeeper_;
  std::unique_ptr<ChildProcess> broker_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_KAFKA_KAFKA_BROKER_H_
