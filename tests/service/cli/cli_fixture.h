// The program `lowmark` against a FakeAdminService with some state, over real gRPC.
#ifndef LOWMARK_TESTS_SERVICE_CLI_CLI_FIXTURE_H_
#define LOWMARK_TESTS_SERVICE_CLI_CLI_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/service/cli/fake_admin_service.h"

namespace lowmark {

class CliTest : public testing::Test {
 protected:
  // Two streams, "orders" and "payments.eu-west-1"; three shards; three workers;
  // two dead letters.
  CliTest();
  ~CliTest() override;

  // Runs `lowmark` with the arguments and returns its exit code.
  int Run(std::vector<std::string> arguments);

  // Checks that a command fails with one line on standard error; returns that.
  std::string Fails(int code, const std::vector<std::string>& arguments);

  FakeAdminService server;
  std::vector<std::pair<std::string, std::string>> environment;
  // What the last command printed.
  std::string out;
  std::string err;

 private:
  std::string directory_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SERVICE_CLI_CLI_FIXTURE_H_
