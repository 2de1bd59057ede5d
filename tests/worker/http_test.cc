#include "worker/handler/http.h"

#include <CivetServer.h>
#include <gmock/gmock.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

using Kind = HandlerResult::Kind;

// An endpoint that answers as it is told.
class Endpoint : public CivetHandler {
 public:
  Endpoint() : server_({"listening_ports", "127.0.0.1:0", "num_threads", "4"}) {
    server_.addHandler("/", this);
  }
  std::string Url(const std::string& path = "") {
    return absl::StrCat("http://127.0.0.1:", server_.getListeningPorts()[0], path);
  }
  // A whole answer, from the status line on; empty: none, the connection ends.
  void Answer(const std::string& answer) {
    MutexLock lock(mutex_);
    answer_ = answer;
  }
  void AnswerBody(const std::string& body, const std::string& status = "200 OK",
                  const std::string& header = "") {
    Answer(absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Length: ", body.size(), "\r\n", header,
                        "\r\n", body));
  }
  // Answers only after Release.
  void Hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  void AwaitRequest() {
    MutexLock lock(mutex_);
    while (requests_ == 0) changed_.Wait(mutex_);
  }

  bool handlePost(CivetServer*, mg_connection* connection) override {
    std::string body;
    char chunk[65536];
    for (int got = 0; (got = mg_read(connection, chunk, sizeof chunk)) > 0;) {
      body.append(chunk, got);
    }
    MutexLock lock(mutex_);
    path_ = mg_get_request_info(connection)->local_uri;
    body_ = body;
    const char* type = mg_get_header(connection, "X-Amz-Invocation-Type");
    invocation_type_ = type == nullptr ? "" : type;
    ++requests_;
    changed_.NotifyAll();
    while (held_) changed_.Wait(mutex_);
    if (!answer_.empty()) mg_write(connection, answer_.data(), answer_.size());
    return true;
  }

  std::string path() {
    MutexLock lock(mutex_);
    return path_;
  }
  std::string invocation_type() {
    MutexLock lock(mutex_);
    return invocation_type_;
  }
  std::string body() {
    MutexLock lock(mutex_);
    return body_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::string answer_ LOWMARK_GUARDED_BY(mutex_);
  std::string path_ LOWMARK_GUARDED_BY(mutex_);
  std::string invocation_type_ LOWMARK_GUARDED_BY(mutex_);
  std::string body_ LOWMARK_GUARDED_BY(mutex_);
  int requests_ LOWMARK_GUARDED_BY(mutex_) = 0;
  bool held_ LOWMARK_GUARDED_BY(mutex_) = false;
  CivetServer server_;  // last: it uses the others while it goes
};

class HttpTest : public testing::Test {
 protected:
  HttpTest() {
    batch_.stream = "s";
    batch_.shard = "0";
    batch_.records = {{"1", "", absl::UnixEpoch(), "one"}, {"2", "", absl::UnixEpoch(), "two"}};
    batch_.deadline = absl::Now() + absl::Seconds(60);
  }
  HandlerResult Run(const std::string& url) {
    auto handler = HttpHandler::Create(url);
    EXPECT_TRUE(handler.ok()) << handler.status();
    return (*handler)->Process(batch_);
  }
  HandlerResult Run() { return Run(endpoint_.Url()); }

  Endpoint endpoint_;
  Batch batch_;
};

TEST_F(HttpTest, PostsTheEventToTheLambdaPath) {
  endpoint_.AnswerBody(R"({"batchItemFailures":[{"itemIdentifier":"2"}]})");
  const HandlerResult result = Run();
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_THAT(result.failed, testing::ElementsAre("2"));
  EXPECT_EQ(endpoint_.path(), "/2015-03-31/functions/function/invocations");
  EXPECT_EQ(endpoint_.invocation_type(), "RequestResponse");
  EXPECT_EQ(nlohmann::json::parse(endpoint_.body())["Records"].size(), 2u);
  Run(endpoint_.Url("/"));
  EXPECT_EQ(endpoint_.path(), "/2015-03-31/functions/function/invocations");
  Run(endpoint_.Url("/mine?x=1"));
  EXPECT_EQ(endpoint_.path(), "/mine");
}

TEST_F(HttpTest, TwoHundredsAreSuccess) {
  endpoint_.AnswerBody("");
  EXPECT_EQ(Run(), HandlerResult::Success());
  endpoint_.AnswerBody("", "204 No Content");
  EXPECT_EQ(Run(), HandlerResult::Success());
  endpoint_.AnswerBody("null", "202 Accepted");
  EXPECT_EQ(Run(), HandlerResult::Success());
}

TEST_F(HttpTest, OtherStatusFailsTheBatch) {
  for (const char* status : {"500 Oh", "404 Not Found", "302 Found", "400 Bad", "503 Busy"}) {
    endpoint_.AnswerBody("why", status, "Location: /elsewhere\r\n");
    const HandlerResult result = Run();
    EXPECT_EQ(result.kind, Kind::kRaised) << status;
    EXPECT_EQ(result.error_type, "HttpStatus");
    EXPECT_EQ(result.error_message, absl::StrCat("HTTP status ", std::string(status, 3), ": why"));
  }
}

TEST_F(HttpTest, ThrottledDidNotRun) {
  endpoint_.AnswerBody("", "429 Too Many Requests");
  EXPECT_EQ(Run().kind, Kind::kNotRun);
}

TEST_F(HttpTest, FunctionErrorRaises) {
  endpoint_.AnswerBody(R"({"errorType":"ValueError","errorMessage":"bad value"})", "200 OK",
                       "X-Amz-Function-Error: Unhandled\r\n");
  EXPECT_EQ(Run(), HandlerResult::Raised("ValueError", "bad value"));
  endpoint_.AnswerBody("text", "200 OK", "x-amz-function-error: Handled\r\n");
  EXPECT_EQ(Run(), HandlerResult::Raised("Handled", "text"));
  batch_.report_batch_item_failures = false;
  EXPECT_EQ(Run(), HandlerResult::Raised("Handled", "text"));
}

TEST_F(HttpTest, NonsenseRaisesUnlessReportingIsOff) {
  endpoint_.AnswerBody("<html>");
  EXPECT_EQ(Run().error_type, "InvalidAnswer");
  batch_.report_batch_item_failures = false;
  EXPECT_EQ(Run(), HandlerResult::Success());
}

TEST_F(HttpTest, AWrongKeyIsAsThePolicySays) {
  endpoint_.AnswerBody(R"({"failedItems":[]})");
  EXPECT_EQ(Run().error_type, "WrongAnswerKey");
  auto lenient = HttpHandler::Create(endpoint_.Url(), ResponsePolicy::kLambda);
  EXPECT_EQ((*lenient)->Process(batch_), HandlerResult::Success());
}

TEST_F(HttpTest, OutOfReachDidNotRun) {
  std::string url;
  {
    Endpoint gone;
    url = gone.Url();
  }
  EXPECT_EQ(Run(url).kind, Kind::kNotRun);
  EXPECT_EQ(Run(url).error_type, "Unreachable");
  EXPECT_EQ(Run("http://no-such-host.invalid").kind, Kind::kNotRun);
}

TEST_F(HttpTest, ConnectionThatBreaksOffFailsTheBatch) {
  endpoint_.Answer("");
  EXPECT_EQ(Run().error_type, "ConnectionLost");
  endpoint_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{}");
  EXPECT_EQ(Run().error_type, "ConnectionLost");
}

TEST_F(HttpTest, EndsAtItsDeadline) {
  endpoint_.AnswerBody("");
  endpoint_.Hold();
  batch_.deadline = absl::Now() + absl::Milliseconds(200);
  EXPECT_EQ(Run().error_type, "Timeout");
  endpoint_.Release();
}

TEST_F(HttpTest, AbortEndsWhatRuns) {
  endpoint_.AnswerBody("");
  endpoint_.Hold();
  auto handler = HttpHandler::Create(endpoint_.Url());
  HandlerResult result;
  std::thread thread([&] { result = (*handler)->Process(batch_); });
  endpoint_.AwaitRequest();
  (*handler)->Abort();
  thread.join();
  EXPECT_EQ(result.error_type, "Aborted");
  endpoint_.Release();
}

TEST_F(HttpTest, TooLargeAnswerIsCut) {
  endpoint_.AnswerBody(std::string(9 << 20, ' '));
  EXPECT_EQ(Run().error_type, "AnswerTooLarge");
}

TEST_F(HttpTest, LargeEvent) {
  batch_.records[0].data = std::string(4 << 20, 'x');
  endpoint_.AnswerBody("{}");
  EXPECT_EQ(Run(), HandlerResult::Success());
  EXPECT_GT(endpoint_.body().size(), size_t{5} << 20);
}

TEST(HttpHandlerUrl, MustBeAUrl) {
  for (const char* url : {"", "localhost:8080/x y", "ftp://host/", "http://", "/path"}) {
    EXPECT_FALSE(HttpHandler::Create(url).ok()) << url;
  }
  EXPECT_EQ((*HttpHandler::Create("https://host:1/p"))->url(), "https://host:1/p");
}

}  // namespace
}  // namespace lowmark
