// Errors on the wire: code, text and reason arrive as they were sent.
#include "service/rpc/status.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

TEST(Status, OkIsOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(Status, EveryReasonArrives) {
  for (const absl::Status& sent :
       {InvalidField("stream", "", "must be set"), StreamNotFound("s"), ShardNotFound("s", "1"),
        MakeError(absl::StatusCode::kNotFound, kDeadLetterNotFound, "none"),
        MakeError(absl::StatusCode::kAlreadyExists, kStreamExists, "there"),
        Aborted(kLeaseFenced, "fenced"), Aborted(kStaleDelivery, "stale"),
        Aborted(kSessionExpired, "over"), Aborted(kEtagMismatch, "changed"),
        MakeError(absl::StatusCode::kFailedPrecondition, kShardDone, "done"), Unavailable("later"),
        MakeError(absl::StatusCode::kInternal, kInternal, "defect")}) {
    const grpc::Status wire = ToGrpc(sent);
    EXPECT_EQ(static_cast<int>(wire.error_code()), static_cast<int>(sent.code()));
    EXPECT_EQ(wire.error_message(), sent.message());
    const absl::Status received = FromGrpc(wire);
    EXPECT_EQ(received.code(), sent.code());
    EXPECT_EQ(received.message(), sent.message());
    EXPECT_EQ(Reason(received), Reason(sent));
  }
}

TEST(Status, DetailsAreAnErrorInfoOfTheDomain) {
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(ToGrpc(Aborted(kLeaseFenced, "fenced")).error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(absl::StatusCode::kAborted));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), kLeaseFenced);
  EXPECT_EQ(info.domain(), "lowmark");
}

TEST(Status, ErrorsOfOthersHaveTheirCodeAsReason) {
  const grpc::Status plain(grpc::StatusCode::UNAVAILABLE, "connection refused");
  EXPECT_EQ(FromGrpc(plain).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Reason(FromGrpc(plain)), "UNAVAILABLE");
  const grpc::Status garbage(grpc::StatusCode::ABORTED, "text", "\xff\xff not a message");
  EXPECT_EQ(Reason(FromGrpc(garbage)), "ABORTED");
  google::rpc::ErrorInfo info;
  info.set_domain("other.example");
  info.set_reason("LEASE_FENCED");
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  const grpc::Status other(grpc::StatusCode::ABORTED, "text", details.SerializeAsString());
  EXPECT_EQ(Reason(FromGrpc(other)), "ABORTED");
}

TEST(Status, ReasonIsFoundAmongOtherDetails) {
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(ToGrpc(Aborted(kLeaseFenced, "fenced")).error_details()));
  google::rpc::Status more;
  google::rpc::ErrorInfo other;
  other.set_domain("proxy.example");
  more.add_details()->PackFrom(other);
  *more.add_details() = details.details(0);
  const grpc::Status wire(grpc::StatusCode::ABORTED, "fenced", more.SerializeAsString());
  EXPECT_EQ(Reason(FromGrpc(wire)), kLeaseFenced);
}

// Trailers have a limit: a long text must not cost the client the reason.
TEST(Status, LongTextsAreCutBetweenCharacters) {
  std::string text(1023, 'x');
  for (int i = 0; i < 5000; ++i) text += "\xc3\xa9";  // é: two bytes
  const grpc::Status wire = ToGrpc(MakeError(absl::StatusCode::kInternal, kInternal, text));
  EXPECT_LT(wire.error_message().size(), 1100u);
  EXPECT_LT(wire.error_details().size(), 2000u);
  EXPECT_EQ(wire.error_message(), std::string(1023, 'x') + "...");
  EXPECT_EQ(Reason(FromGrpc(wire)), kInternal);
}

}  // namespace
}  // namespace lowmark
