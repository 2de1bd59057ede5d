// What workers call, over the wire, on every store.
#include <atomic>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/wire_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

class WorkerCalls : public WireTest {
 public:
  // The stream with one shard "1", leased to "w".
  v1::Lease LeaseOne(const v1::StreamConfig& config = {}) {
    MakeStream({"1"}, config);
    auto leased = Lease("w", 1);
    EXPECT_EQ(leased.status(), absl::OkStatus());
    EXPECT_EQ(leased->leases_size(), 1);
    return leased->leases(0);
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, WorkerCalls, EveryStore(), StoreName);

TEST_P(WorkerCalls, FirstCallOpensTheSessionAndDoesNotWait) {
  MakeStream({});
  auto first = Lease("v", 1);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->leases_size(), 0);
  EXPECT_EQ(first->session_ttl().seconds(), 3600);
  EXPECT_FALSE(first->sync_shards());  // "w" is older
  v1::HeartbeatRequest request;
  request.set_stream("s");
  request.set_worker("w");
  v1::HeartbeatResponse response;
  ASSERT_TRUE(Call(&Workers::Heartbeat, server_.workers(), request, &response).ok());
  EXPECT_EQ(response.session_ttl().seconds(), 3600);
  EXPECT_TRUE(response.sync_shards());
  request.set_worker("never-seen");
  EXPECT_EQ(Reason(Call(&Workers::Heartbeat, server_.workers(), request, &response)),
            kSessionExpired);
}

TEST_P(WorkerCalls, NoneFreeIsAnEmptyAnswerBeforeTheDeadline) {
  MakeStream({});
  auto none = Lease("w", 1, 0, absl::Seconds(1));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->leases_size(), 0);
}

TEST_P(WorkerCalls, ALeaseSaysAllThatAWorkerNeeds) {
  v1::StreamConfig config;
  config.set_batch_size(7);
  const v1::Lease lease = LeaseOne(config);
  EXPECT_EQ(lease.shard(), "1");
  EXPECT_GE(lease.epoch(), 1);
  EXPECT_EQ(lease.delivery().delivery(), 1);
  EXPECT_TRUE(lease.delivery().start().has_trim_horizon());
  EXPECT_EQ(lease.delivery().end_sequence(), "");
  EXPECT_EQ(lease.delivery().max_records(), 7);
  EXPECT_EQ(lease.delivery().attempt(), 1);
  EXPECT_FALSE(lease.delivery().declare());
  EXPECT_EQ(lease.config().batch_size(), 7);
  EXPECT_EQ(lease.config().handler_timeout().seconds(), 60);
  EXPECT_EQ(lease.config_etag(), GetStream()->etag());
}

// The walk that every reader of the rules can reproduce.
TEST_P(WorkerCalls, TheWalkOfTenRecords) {
  v1::StreamConfig config;
  config.set_batch_size(10);
  const v1::Lease lease = LeaseOne(config);
  std::vector<std::string> checkpoints;
  int first = 1;
  for (int64_t delivery = 1; delivery <= 4; ++delivery) {
    const int failed = first + 3;
    auto answer = Send(failed <= 10 ? Failure(lease, delivery, first, 10, {failed})
                                    : Success(lease, delivery, first, 10));
    ASSERT_TRUE(answer.ok()) << answer.status();
    checkpoints.push_back(Text(answer->checkpoint()));
    EXPECT_EQ(answer->next().delivery(), delivery + 1);
    EXPECT_EQ(answer->next().end_sequence(), failed <= 10 ? "10" : "");
    first = failed;
  }
  EXPECT_THAT(checkpoints, ElementsAre("AT 4", "AT 7", "AT 10", "AFTER 10"));
}

TEST_P(WorkerCalls, RepeatedReportIsAnsweredAlikeAndChangesNothing) {
  const v1::Lease lease = LeaseOne();
  for (const v1::ReportBatchRequest& report :
       {Success(lease, 1, 1, 5), Failure(lease, 2, 6, 9, {8}), Failure(lease, 3, 8, 9)}) {
    auto first = Send(report);
    ASSERT_TRUE(first.ok()) << first.status();
    const std::string before = open_->Dump();
    auto again = Send(report);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(open_->Dump(), before);
    // The pause before a retry goes on meanwhile.
    first->mutable_next()->clear_delay();
    again->mutable_next()->clear_delay();
    EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  }
}

TEST_P(WorkerCalls, StaleReportsAreAbortedWithTheirReasonAndChangeNothing) {
  const v1::Lease lease = LeaseOne();
  ASSERT_TRUE(Send(Success(lease, 1, 1, 5)).ok());
  ASSERT_TRUE(Send(Success(lease, 2, 6, 9)).ok());
  const std::string before = open_->Dump();
  v1::ReportBatchRequest report = Success(lease, 3, 10, 12);

  report.set_delivery(1);  // long ago
  EXPECT_EQ(Reason(Send(report).status()), kStaleDelivery);
  report.set_delivery(4);  // not yet
  EXPECT_EQ(Reason(Send(report).status()), kStaleDelivery);
  report.set_delivery(3);
  report.set_epoch(lease.epoch() + 1);
  EXPECT_EQ(Reason(Send(report).status()), kLeaseFenced);
  report.set_epoch(lease.epoch());
  report.set_worker("v");
  auto other = Send(report);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Reason(other.status()), kLeaseFenced);
  EXPECT_EQ(Reason(Release("1", "v", lease.epoch())), kLeaseFenced);
  EXPECT_EQ(Reason(Release("1", "w", lease.epoch() + 7)), kLeaseFenced);
  EXPECT_EQ(open_->Dump(), before);
}

TEST_P(WorkerCalls, ReportsBeyondTheDeliveryAreRefused) {
  const v1::Lease lease = LeaseOne();
  ASSERT_TRUE(Send(Failure(lease, 1, 1, 10, {4})).ok());
  const std::string before = open_->Dump();
  for (const v1::ReportBatchRequest& report :
       {Success(lease, 2, 1, 10), Success(lease, 2, 4, 11), Success(lease, 2, 3, 4)}) {
    auto answer = Send(report);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument) << answer.status();
  }
  v1::ReportBatchRequest backwards = Success(lease, 2, 4, 10);
  backwards.set_first_sequence("10");
  backwards.set_last_sequence("4");
  EXPECT_EQ(Reason(Send(backwards).status()), kInvalidArgument);
  EXPECT_EQ(open_->Dump(), before);
}

TEST_P(WorkerCalls, LeasesOfALostAnswerAreRepeatedUnchanged) {
  MakeStream({"1", "2", "3"});
  auto lost = Lease("w", 3);
  ASSERT_TRUE(lost.ok());
  ASSERT_EQ(lost->leases_size(), 3);
  const std::string audit = open_->Dump();
  auto again = Lease("w", 1, /*held=*/0);
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->leases_size(), 3);  // whatever max_leases says
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(again->leases(i).SerializeAsString(), lost->leases(i).SerializeAsString());
  }
  // With what it knows now it waits.
  auto none = Lease("w", 1, /*held=*/3, absl::Seconds(1));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->leases_size(), 0);
  EXPECT_EQ(GetShard("1").epoch(), lost->leases(0).epoch());
}

// As a worker does that stops, whose last call was cut off.
TEST_P(WorkerCalls, ACallForNoLeaseBringsThoseThatAreNotKnown) {
  MakeStream({"1", "2", "3"});
  auto lost = Lease("w", 2);
  ASSERT_TRUE(lost.ok());
  auto unknown = Lease("w", 0, /*held=*/0);
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  ASSERT_EQ(unknown->leases_size(), 2);
  EXPECT_EQ(unknown->leases(0).SerializeAsString(), lost->leases(0).SerializeAsString());
  // Nothing else, at once, though a shard is free.
  auto none = Lease("w", 0, /*held=*/2, absl::Hours(1));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->leases_size(), 0);
  EXPECT_EQ(GetShard("3").epoch(), 0);
}

TEST_P(WorkerCalls, ReleasedShardWakesALongPollAndFencesTheOneBefore) {
  const v1::Lease lease = LeaseOne();
  OpenSession("v");
  absl::StatusOr<v1::LeaseShardResponse> taken;
  std::thread waiting([&] { taken = Lease("v", 1); });
  ASSERT_EQ(Release("1", "w", lease.epoch()), absl::OkStatus());
  waiting.join();
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(taken->leases_size(), 1);
  EXPECT_GT(taken->leases(0).epoch(), lease.epoch());
  EXPECT_EQ(taken->leases(0).delivery().cause(), v1::REDELIVERY_CAUSE_UNSPECIFIED);
  EXPECT_EQ(Reason(Send(Success(lease, 1, 1, 5)).status()), kLeaseFenced);
  // Releasing again, as after a lost answer, is refused only once another has it.
  EXPECT_EQ(Reason(Release("1", "w", lease.epoch())), kLeaseFenced);
}

TEST_P(WorkerCalls, ACancelledLongPollTakesNoShard) {
  const v1::Lease lease = LeaseOne();
  OpenSession("v");
  {
    grpc::ClientContext context;
    std::thread cancelling([&] { context.TryCancel(); });
    v1::LeaseShardRequest request;
    request.set_stream("s");
    request.set_worker("v");
    request.set_max_leases(1);
    v1::LeaseShardResponse response;
    const grpc::Status status = server_.workers().LeaseShard(&context, request, &response);
    cancelling.join();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }
  OpenSession("u");
  ASSERT_EQ(Release("1", "w", lease.epoch()), absl::OkStatus());
  auto taken = Lease("u", 1);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->leases_size(), 1);
}

TEST_P(WorkerCalls, ANewPolicyComesWithTheNextAnswer) {
  const v1::Lease lease = LeaseOne();
  v1::UpdateStreamRequest update;
  update.set_stream("s");
  update.mutable_config()->set_batch_size(3);
  update.mutable_update_mask()->add_paths("batch_size");
  v1::UpdateStreamResponse updated;
  ASSERT_TRUE(Call(&Admin::UpdateStream, server_.admin(), update, &updated).ok());
  auto answer = Send(Success(lease, 1, 1, 5));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->config_etag(), updated.stream().etag());
  EXPECT_EQ(answer->config().batch_size(), 3);
  EXPECT_EQ(answer->next().max_records(), 3);
  v1::ReportBatchRequest next = Success(lease, 2, 6, 8);
  next.set_config_etag(answer->config_etag());
  auto known = Send(next);
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_FALSE(known->has_config());
}

TEST_P(WorkerCalls, DeadLettersKeepTheirDataByteByByte) {
  v1::StreamConfig config;
  config.set_maximum_retry_attempts(0);
  const v1::Lease lease = LeaseOne(config);
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  v1::ReportBatchRequest report = Failure(lease, 1, 5, 5, {5});
  v1::RecordData* record = report.mutable_failure()->add_records();
  record->set_sequence("5");
  record->set_partition_key(all);
  record->set_data(all + all);
  for (const std::string& value : {all, std::string(), all}) {
    record->add_headers()->set_name("h" + all);
    record->mutable_headers()->rbegin()->set_value(value);
  }
  record->mutable_arrival_time()->set_seconds(1'700'000'000);
  record->mutable_arrival_time()->set_nanos(123'456'000);
  report.mutable_failure()->set_error_message("a \"quoted\" {text}\\n\n\t\xe2\x98\x83 '; --");
  auto answer = Send(report);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->discarded_records(), 1);
  EXPECT_EQ(Text(answer->checkpoint()), "AFTER 5");

  v1::ListDeadLettersRequest list;
  list.set_stream("s");
  v1::ListDeadLettersResponse letters;
  ASSERT_TRUE(Call(&Admin::ListDeadLetters, server_.admin(), list, &letters).ok());
  ASSERT_EQ(letters.dead_letters_size(), 1);
  EXPECT_EQ(letters.dead_letters(0).records_size(), 0);
  v1::GetDeadLetterRequest get;
  get.set_stream("s");
  get.set_id(letters.dead_letters(0).id());
  v1::GetDeadLetterResponse got;
  ASSERT_TRUE(Call(&Admin::GetDeadLetter, server_.admin(), get, &got).ok());
  const v1::DeadLetter& letter = got.dead_letter();
  EXPECT_EQ(letter.condition(), v1::DEAD_LETTER_CONDITION_RETRY_ATTEMPTS_EXHAUSTED);
  EXPECT_EQ(letter.error_type(), "TestError");
  EXPECT_EQ(letter.error_message(), report.failure().error_message());
  EXPECT_EQ(letter.worker(), "w");
  EXPECT_EQ(letter.epoch(), lease.epoch());
  EXPECT_EQ(letter.delivery(), 1);
  ASSERT_EQ(letter.records_size(), 1);
  EXPECT_EQ(letter.records(0).SerializeAsString(), record->SerializeAsString());
}

// A report of 64 MiB, as the largest batch of the policy makes it, is taken, stored
// and given out again.
TEST_P(WorkerCalls, DeadLettersKeepTheDataOfTheLargestBatch) {
  v1::StreamConfig config;
  config.set_maximum_retry_attempts(0);
  config.set_maximum_batch_bytes(Policy::kLargestBatchBytes);
  config.set_bisect_batch_on_failure(false);
  const v1::Lease lease = LeaseOne(config);
  v1::ReportBatchRequest report = Failure(lease, 1, 1, 16);
  std::minstd_rand random(7);
  for (int i = 1; i <= 16; ++i) {
    v1::RecordData* record = report.mutable_failure()->add_records();
    record->set_sequence(std::to_string(i));
    std::string* data = record->mutable_data();
    data->resize(Policy::kLargestBatchBytes / 16);
    for (char& c : *data) c = static_cast<char>(random());  // does not compress
  }
  v1::ReportBatchResponse answer;
  ASSERT_EQ(Call(&Workers::ReportBatch, server_.workers(), report, &answer, absl::Minutes(4)),
            absl::OkStatus());
  EXPECT_EQ(answer.discarded_records(), 16);
  v1::ListDeadLettersRequest list;
  list.set_stream("s");
  v1::ListDeadLettersResponse listed;
  ASSERT_EQ(Call(&Admin::ListDeadLetters, server_.admin(), list, &listed), absl::OkStatus());
  ASSERT_EQ(listed.dead_letters_size(), 1);
  v1::GetDeadLetterRequest get;
  get.set_stream("s");
  get.set_id(listed.dead_letters(0).id());
  v1::GetDeadLetterResponse got;
  ASSERT_EQ(Call(&Admin::GetDeadLetter, server_.admin(), get, &got, absl::Minutes(4)),
            absl::OkStatus());
  ASSERT_EQ(got.dead_letter().records_size(), 16);
  for (int i = 0; i < 16; ++i) {
    EXPECT_TRUE(got.dead_letter().records(i).data() == report.failure().records(i).data()) << i;
  }
}

TEST_P(WorkerCalls, UnknownStreamsAndShardsAreNotFound) {
  for (const GoodRequest& good : MakeGoodRequests(server_)) {
    const auto* stream = good.method->input_type()->FindFieldByName("stream");
    const auto* shard = good.method->input_type()->FindFieldByName("shard");
    if (good.method->name() == "CreateStream" || stream == nullptr) continue;
    std::unique_ptr<google::protobuf::Message> request(good.request->New());
    request->CopyFrom(*good.request);
    request->GetReflection()->SetString(request.get(), stream, "unknown");
    absl::Status status = RawCall(server_.channel(), *good.method, *request);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << good.name << status;
    EXPECT_EQ(Reason(status), kStreamNotFound) << good.name;
    if (shard == nullptr || good.method->name() == "ListDeadLetters") continue;
    request->CopyFrom(*good.request);
    request->GetReflection()->SetString(request.get(), shard, "unknown");
    status = RawCall(server_.channel(), *good.method, *request);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << good.name << status;
    EXPECT_EQ(Reason(status), kShardNotFound) << good.name;
  }
}

}  // namespace
}  // namespace lowmark
