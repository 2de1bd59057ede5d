#include "tests/worker/kinesis/fake_kinesis.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

std::string Whole(int status, const std::string& body) {
  // 2026-11-26 08:00:00 UTC is the server's clock, whatever the time.
  return absl::StrCat(
      "HTTP/1.1 ", status, " Status\r\nContent-Type: application/x-amz-json-1.1\r\n",
      "Date: Thu, 26 Nov 2026 08:00:00 GMT\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

}  // namespace

std::string Sequence(int n) { return absl::StrFormat("495900%050d", n); }

nlohmann::json KinesisRecord(int n, const std::string& data, const std::string& key) {
  return {{"SequenceNumber", Sequence(n)},
          {"PartitionKey", key},
          {"Data", absl::Base64Escape(data)},
          {"ApproximateArrivalTimestamp", 1700000000.123}};
}

nlohmann::json RecordsAnswer(const std::vector<nlohmann::json>& records, const std::string& next,
                             int64_t millis_behind) {
  nlohmann::json answer = {{"Records", records}, {"MillisBehindLatest", millis_behind}};
  if (!next.empty()) answer["NextShardIterator"] = next;
  return answer;
}

FakeKinesis::FakeKinesis() : server_({"listening_ports", "127.0.0.1:0", "num_threads", "4"}) {
  server_.addHandler("/", this);
}

FakeKinesis& FakeKinesis::Fresh() {
  static FakeKinesis kinesis;
  MutexLock lock(kinesis.mutex_);
  kinesis.held_ = false;
  kinesis.answers_.clear();
  kinesis.standing_.clear();
  kinesis.requests_.clear();
  return kinesis;
}

std::string FakeKinesis::url() {
  return absl::StrCat("http://127.0.0.1:", server_.getListeningPorts()[0]);
}

void FakeKinesis::Answer(const std::string& operation, const nlohmann::json& body) {
  AnswerRaw(operation, Whole(200, body.dump()));
}

void FakeKinesis::Refuse(const std::string& operation, int status, const std::string& error,
                         const std::string& message) {
  AnswerRaw(operation,
            Whole(status, nlohmann::json{{"__type", error}, {"message", message}}.dump()));
}

void FakeKinesis::AnswerRaw(const std::string& operation, const std::string& answer) {
  MutexLock lock(mutex_);
  answers_[operation].push_back(answer);
}

void FakeKinesis::AnswerAlways(const std::string& operation, const nlohmann::json& body) {
  MutexLock lock(mutex_);
  standing_[operation] = Whole(200, body.dump());
}

void FakeKinesis::Hold(bool hold) {
  MutexLock lock(mutex_);
  held_ = hold;
  changed_.NotifyAll();
}

std::vector<FakeKinesis::Request> FakeKinesis::requests(const std::string& operation) {
  MutexLock lock(mutex_);
  std::vector<Request> found;
  for (const Request& request : requests_) {
    if (request.operation == operation) found.push_back(request);
  }
  return found;
}

bool FakeKinesis::handlePost(CivetServer*, mg_connection* connection) {
  std::string body;
  std::string chunk(65536, '\0');  // the thread's stack is not much larger
  for (int got = 0; (got = mg_read(connection, chunk.data(), chunk.size())) > 0;) {
    body.append(chunk, 0, static_cast<size_t>(got));
  }
  Request request;
  const mg_request_info* info = mg_get_request_info(connection);
  for (int i = 0; i < info->num_headers; ++i) {
    request.headers[absl::AsciiStrToLower(info->http_headers[i].name)] =
        info->http_headers[i].value;
  }
  request.operation = request.headers["x-amz-target"];
  request.operation.erase(0, request.operation.find('.') + 1);
  request.body = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  MutexLock lock(mutex_);
  while (held_) changed_.Wait(mutex_);
  std::string answer = Whole(400, "{\"__type\": \"Unscripted\"}");
  auto& queue = answers_[request.operation];
  if (!queue.empty()) {
    answer = queue.front();
    queue.pop_front();
  } else if (auto standing = standing_.find(request.operation); standing != standing_.end()) {
    answer = standing->second;
  }
  requests_.push_back(std::move(request));
  if (!answer.empty()) mg_write(connection, answer.data(), answer.size());
  return true;
}

}  // namespace lowmark
