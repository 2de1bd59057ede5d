// A runtime of a Lambda function that does what the first record of its event says:
//
//   ok              answers {}
//   fail SEQUENCE   names that record
//   env NAME        raises with what the environment has there
//   die CODE        exits
//   hang            never answers
//   meet DIR N      waits until N runtimes are at this point, then answers {}
//
//   scripted_runtime init-error    says that it cannot start, and exits
//   scripted_runtime silent        asks for nothing
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "tests/worker/runtime_client.h"

namespace lowmark {
namespace {

[[noreturn]] void Hang() {
  while (true) pause();
}

void Meet(const std::string& directory, size_t count) {
  std::ofstream(directory + "/" + std::to_string(getpid())).close();
  const auto there = [&] {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
  };
  while (there() < count) std::this_thread::yield();
}

void Process(RuntimeClient& client, const RuntimeClient::Reply& next) {
  const auto event = nlohmann::json::parse(next.body);
  std::string text;
  absl::Base64Unescape(event["Records"][0]["kinesis"]["data"].get<std::string>(), &text);
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  std::cout << "got " << text << std::endl;
  std::string answer = "{}";
  if (words[0] == "die") std::exit(std::stoi(words[1]));
  if (words[0] == "hang") Hang();
  if (words[0] == "meet") Meet(words[1], std::stoul(words[2]));
  if (words[0] == "fail") {
    answer = R"({"batchItemFailures":[{"itemIdentifier":")" + words[1] + "\"}]}";
  }
  if (words[0] == "env") {
    const char* value = std::getenv(words[1].c_str());
    const nlohmann::json error = {{"errorType", words[1]},
                                  {"errorMessage", value == nullptr ? "" : value}};
    client.Fail(next.id(), error.dump());
    return;
  }
  client.Respond(next.id(), answer);
}

int Main(const std::string& mode) {
  RuntimeClient client(std::getenv("AWS_LAMBDA_RUNTIME_API"));
  client.SetTimeout(0);
  if (mode == "silent") Hang();
  if (mode == "init-error") {
    client.InitError(R"({"errorType":"Runtime.ImportModuleError","errorMessage":"no module app"})");
    return 129;
  }
  while (true) {
    const auto next = client.Next();
    if (next.status != 200) return 0;
    Process(client, next);
  }
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc > 1 ? argv[1] : ""); }
