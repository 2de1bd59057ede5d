// A handler for the exec kind that keeps a ledger of what it was handed. Takes the
// records of a batch in order and stops at the first that fails, naming it.
//
//   ledger_handler DIRECTORY
//
// A record is {"n": NUMBER, "kind": KIND}: "good" is processed, "bad" always fails,
// "flaky" fails the first time that it is met. Each record that it takes up leaves
// a line "SHARD N ok|failed" in DIRECTORY/ledger.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace {

using nlohmann::json;

// Whether this is the first time for the record: its mark could be made.
bool FirstTime(const std::string& directory, const std::string& record) {
  const int fd = open(absl::StrCat(directory, "/", record, ".met").c_str(),
                      O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  close(fd);
  return true;
}

struct Taken {
  std::string shard;
  std::string sequence;
  std::string data;
};

std::string Decoded(const json& text) {
  std::string data;
  absl::Base64Unescape(text.get<std::string>(), &data);
  return data;
}

// From an event of the shape of Kinesis, or of Kafka.
std::vector<Taken> RecordsOf(const json& event) {
  std::vector<Taken> records;
  if (event.contains("records")) {
    for (const auto& [partition, messages] : event.at("records").items()) {
      for (const json& message : messages) {
        records.push_back({partition, message.at("offset").dump(), Decoded(message.at("value"))});
      }
    }
    return records;
  }
  for (const json& record : event.at("Records")) {
    const std::string id = record.at("eventID");
    const json& kinesis = record.at("kinesis");
    records.push_back(
        {id.substr(0, id.rfind(':')), kinesis.at("sequenceNumber"), Decoded(kinesis.at("data"))});
  }
  return records;
}

bool Append(int ledger, const std::string& line) {
  return write(ledger, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  const int ledger =
      open((directory + "/ledger").c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0644);
  if (ledger < 0) return 2;
  const std::string input((std::istreambuf_iterator<char>(std::cin)), {});
  const json event = json::parse(input);
  json failures = json::array();
  for (const Taken& record : RecordsOf(event)) {
    const json data = json::parse(record.data);
    const std::string name = absl::StrCat(record.shard, "-", data.at("n").get<int>());
    const bool failed =
        data.at("kind") == "bad" || (data.at("kind") == "flaky" && FirstTime(directory, name));
    if (!Append(ledger, absl::StrCat(record.shard, " ", data.at("n").get<int>(),
                                     failed ? " failed\n" : " ok\n"))) {
      return 2;
    }
    if (!failed) continue;
    failures.push_back({{"itemIdentifier", record.sequence}});
    break;
  }
  std::cout << json{{"batchItemFailures", failures}} << "\n";
  return 0;
}
