#include "tests/support/test_certificates.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "service/process/child_process.h"

namespace lowmark {

namespace fs = std::filesystem;

TestCertificates::TestCertificates() {
  std::string name = "/tmp/lowmark-certificates-XXXXXX";
  directory_ = mkdtemp(name.data());
}

TestCertificates::~TestCertificates() { fs::remove_all(directory_); }

void TestCertificates::MakeCa(const std::string& name) {
  OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-keyout", Path(name + ".key"), "-out", Path(name + ".crt"), "-days", "2", "-subj",
           "/CN=" + name, "-addext", "keyUsage=critical,keyCertSign"});
}

void TestCertificates::Make(const std::string& name, const std::string& ca, const About& about) {
  OpenSsl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
           Path(name + ".key"), "-out", Path(name + ".csr"), "-subj", "/CN=" + name});
  Write(name + ".ext", "subjectAltName=" + about.names + "\n");
  OpenSsl({"x509", "-req", "-in", Path(name + ".csr"), "-CA", Path(ca + ".crt"), "-CAkey",
           Path(ca + ".key"), "-CAcreateserial", "-days", absl::StrCat(about.days), "-extfile",
           Path(name + ".ext"), "-out", Path(name + ".crt")});
}

void TestCertificates::Write(const std::string& name, const std::string& text) {
  { std::ofstream(Path(name + ".new")) << text; }
  fs::rename(Path(name + ".new"), Path(name));
}

std::string TestCertificates::Read(const std::string& name) const {
  std::stringstream text;
  text << std::ifstream(Path(name)).rdbuf();
  return text.str();
}

void TestCertificates::Mount(const std::string& secret,
                             const std::vector<std::pair<std::string, std::string>>& files) {
  const std::string version = absl::StrCat("..", ++mounts_);
  fs::create_directories(Path(secret + "/" + version));
  for (const auto& [name, from] : files) {
    fs::copy_file(Path(from), Path(absl::StrCat(secret, "/", version, "/", name)));
    const std::string link = Path(secret + "/" + name);
    if (!fs::is_symlink(link)) fs::create_symlink("..data/" + name, link);
  }
  fs::create_directory_symlink(version, Path(secret + "/..data_new"));
  fs::rename(Path(secret + "/..data_new"), Path(secret + "/..data"));
}

void TestCertificates::OpenSsl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  auto result = RunCommand({.argv = std::move(arguments)}, absl::Minutes(1));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->exit.ok()) << result->output;
}

}  // namespace lowmark
