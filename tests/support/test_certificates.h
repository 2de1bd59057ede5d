// Certificates made by openssl(1), in a directory, for tests of TLS.
//
//   TestCertificates certificates;
//   certificates.MakeCa("ca");
//   certificates.Make("server", "ca", {.names = "DNS:localhost,IP:127.0.0.1"});
//   options.tls_cert = certificates.Path("server.crt");
#ifndef LOWMARK_TESTS_SUPPORT_TEST_CERTIFICATES_H_
#define LOWMARK_TESTS_SUPPORT_TEST_CERTIFICATES_H_

#include <string>
#include <vector>

namespace lowmark {

class TestCertificates {
 public:
  TestCertificates();
  ~TestCertificates();
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  struct About {
    std::string names = "DNS:localhost,IP:127.0.0.1";
    int days = 2;  // before 0: expired so long ago
  };

  // NAME.crt and NAME.key of a CA.
  void MakeCa(const std::string& name);
  // NAME.crt and NAME.key, signed by that CA.
  void Make(const std::string& name, const std::string& ca, const About& about);
  void Make(const std::string& name, const std::string& ca) { Make(name, ca, About()); }

  // Any file, replaced at one instant.
  void Write(const std::string& name, const std::string& text);
  std::string Read(const std::string& name) const;
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  // A mounted secret as Kubernetes has it: files in a directory, to which links lead
  // by another link, which is swapped when the secret changes. `files`: the name
  // in the secret, and of which file here it has the text.
  void Mount(const std::string& secret,
             const std::vector<std::pair<std::string, std::string>>& files);

 private:
  void OpenSsl(std::vector<std::string> arguments);

  std::string directory_;
  int mounts_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_TEST_CERTIFICATES_H_
