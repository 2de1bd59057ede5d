#include "service/on_failure/http_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/http_endpoint.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Minutes(1);

class HttpDestinationTest : public testing::Test {
 protected:
  std::unique_ptr<Destination> Make(const OnFailure::Texts& headers = {},
                                    absl::Duration timeout = absl::Seconds(20)) {
    auto made = HttpDestination::Create(endpoint_.Url("/letters?a=b"), headers, timeout);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }
  // What it makes of one document.
  absl::Status SendOne(Destination& destination) {
    return destination.Send({{"orders/1", "0", 1, "{}"}}, kPatience).at(0);
  }

  HttpEndpoint endpoint_;
};

TEST_F(HttpDestinationTest, PostsEachDocumentWithItsKey) {
  auto destination = Make({{"Authorization", "Bearer x"}, {"X-Team", "a b"}});
  const std::string large(300000, 'x');
  EXPECT_THAT(
      destination->Send({{"orders/1", "0", 1, "{}"}, {"orders/2", "1", 1, large}}, kPatience),
      ElementsAre(absl::OkStatus(), absl::OkStatus()));
  const std::vector<HttpEndpoint::Request> requests = endpoint_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].body, "{}");
  EXPECT_EQ(requests[1].body, large);
  EXPECT_EQ(requests[0].headers.at("Idempotency-Key"), "orders/1");
  EXPECT_EQ(requests[1].headers.at("Idempotency-Key"), "orders/2");
  for (const HttpEndpoint::Request& request : requests) {
    EXPECT_EQ(request.headers.at("Content-Type"), "application/json");
    EXPECT_EQ(request.headers.at("Authorization"), "Bearer x");
    EXPECT_EQ(request.headers.at("X-Team"), "a b");
    EXPECT_EQ(request.headers.at("User-Agent"), "lowmark-coordinator");
    EXPECT_FALSE(request.headers.contains("Expect"));
  }
}

TEST_F(HttpDestinationTest, TakesAnyStatus2xxForTaken) {
  auto destination = Make();
  for (const char* status : {"200 OK", "201 Created", "202 Accepted"}) {
    endpoint_.Answer({status});
    EXPECT_TRUE(SendOne(*destination).ok()) << status;
  }
}

TEST_F(HttpDestinationTest, TellsWhatIsWrongWithADocumentFromWhatIsWrongWithTheEndpoint) {
  auto destination = Make();
  for (const char* status : {"400 Bad Request", "409 Conflict", "413 Too Large", "422 Odd"}) {
    endpoint_.Answer({status});
    EXPECT_EQ(SendOne(*destination).code(), absl::StatusCode::kFailedPrecondition) << status;
  }
  for (const char* status : {"301 Moved", "302 Found", "401 Who", "403 No", "404 Gone", "408 Late",
                             "429 Too Many", "500 Oops", "502 Bad Gateway", "503 Busy"}) {
    endpoint_.Answer({status});
    const absl::Status answer = SendOne(*destination);
    EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(answer.message(), absl::StrCat("HTTP status ", std::string(status).substr(0, 3)))
        << "what an endpoint says is nobody else's to read";
  }
}

// A refusal is one document's; a failure ends the batch.
TEST_F(HttpDestinationTest, GoesOnAfterARefusalAndEndsAfterAFailure) {
  auto destination = Make();
  endpoint_.Answer({"400 Bad", "200 OK", "503 Busy", "200 OK"});
  std::vector<absl::StatusCode> codes;
  for (const absl::Status& answer : destination->Send(
           {{"a/1", "", 1, "x"}, {"a/2", "", 1, "x"}, {"a/3", "", 1, "x"}, {"a/4", "", 1, "x"}},
           kPatience)) {
    codes.push_back(answer.code());
  }
  using Code = absl::StatusCode;
  EXPECT_THAT(codes, ElementsAre(Code::kFailedPrecondition, Code::kOk, Code::kUnavailable,
                                 Code::kCancelled));
  EXPECT_EQ(endpoint_.requests().size(), 3u);
}

TEST_F(HttpDestinationTest, AnEndpointThatIsNotThereTakesNothing) {
  auto made = HttpDestination::Create("http://127.0.0.1:1/", {}, absl::Seconds(20));
  ASSERT_TRUE(made.ok());
  const absl::Status answer = SendOne(**made);
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(answer.message(), HasSubstr("connect"));
}

TEST_F(HttpDestinationTest, AnEndpointThatDoesNotAnswerInTimeTakesNothing) {
  endpoint_.Hold();
  auto destination = Make({}, absl::Milliseconds(200));
  const absl::Status answer = SendOne(*destination);
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(answer.message(), HasSubstr("Timeout"));
}

TEST_F(HttpDestinationTest, StoppedItGivesTheDocumentOnItsWayItsGraceAndBeginsNoOther) {
  endpoint_.Hold();
  auto destination = Make();
  std::vector<absl::Status> answers;
  std::thread sender([&] {
    answers = destination->Send({{"a/1", "", 1, "x"}, {"a/2", "", 1, "x"}}, kPatience);
  });
  endpoint_.AwaitRequests(1);
  destination->Stop(absl::Minutes(1));
  endpoint_.Release();
  sender.join();
  EXPECT_TRUE(answers[0].ok()) << answers[0];
  EXPECT_EQ(answers[1].code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(endpoint_.requests().size(), 1u);
}

TEST_F(HttpDestinationTest, StoppedWithoutGraceItEndsAtOnce) {
  endpoint_.Hold();
  auto destination = Make();
  std::vector<absl::Status> answers;
  std::thread sender([&] { answers = destination->Send({{"a/1", "", 1, "x"}}, kPatience); });
  endpoint_.AwaitRequests(1);
  destination->Stop(absl::ZeroDuration());
  sender.join();
  EXPECT_EQ(answers[0].code(), absl::StatusCode::kCancelled);
}

TEST(HttpDestination, RefusesASecretOfSeveralLines) {
  auto made = HttpDestination::Create("http://h/", {{"X-Key", "a\nb"}}, absl::Seconds(1));
  EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(made.status().message(), HasSubstr("X-Key"));
}

}  // namespace
}  // namespace lowmark
