#include "tests/bench/reports.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "empty.grpc.pb.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/rpc/status.h"
#include "tests/bench/streams.h"

namespace lowmark {
namespace {

// Reports batch after batch of its shards in turn.
class ReportSlot final : public Slot {
 public:
  ReportSlot(std::shared_ptr<grpc::Channel> channel, const std::string& stream,
             const std::string& worker, const std::string& config_etag)
      : stub_(std::move(channel)) {
    request_.set_stream(stream);
    request_.set_worker(worker);
    request_.set_config_etag(config_etag);
    request_.set_record_count(ReportBench::kBatch);
    request_.mutable_success();
  }

  void Add(LeasedShard& shard) { shards_.push_back(&shard); }

  void Start(grpc::CompletionQueue& queue, void* tag) override {
    LeasedShard& shard = *shards_[next_];
    request_.set_shard(shard.shard);
    request_.set_epoch(shard.epoch);
    request_.set_delivery(shard.delivery);
    request_.set_first_sequence(absl::StrCat(shard.acknowledged + 1));
    request_.set_last_sequence(absl::StrCat(shard.acknowledged + ReportBench::kBatch));
    context_.emplace();
    SetDeadline(*context_);
    call_ = stub_.AsyncReportBatch(&*context_, request_, &queue);
    call_->Finish(&response_, &status_, tag);
  }

  absl::Status Finish() override {
    LeasedShard& shard = *shards_[next_];
    next_ = (next_ + 1) % shards_.size();
    if (!status_.ok()) return FromGrpc(status_);
    if (response_.checkpoint().after_sequence() != request_.last_sequence() ||
        response_.next().start().after_sequence() != request_.last_sequence() ||
        response_.next().delivery() != shard.delivery + 1 || response_.discarded_records() != 0 ||
        response_.has_config() || response_.hand_over()) {
      return absl::InternalError(absl::StrCat("a wrong answer to the report {",
                                              request_.ShortDebugString(), "}: {",
                                              response_.ShortDebugString(), "}"));
    }
    shard.delivery += 1;
    shard.acknowledged += ReportBench::kBatch;
    return absl::OkStatus();
  }

 private:
  v1::CoordinatorService::Stub stub_;
  std::vector<LeasedShard*> shards_;
  size_t next_ = 0;
  std::optional<grpc::ClientContext> context_;
  v1::ReportBatchRequest request_;
  v1::ReportBatchResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ReportBatchResponse>> call_;
};

class EmptySlot final : public Slot {
 public:
  explicit EmptySlot(std::shared_ptr<grpc::Channel> channel) : stub_(std::move(channel)) {}

  void Start(grpc::CompletionQueue& queue, void* tag) override {
    context_.emplace();
    SetDeadline(*context_);
    call_ = stub_.AsyncNothing(&*context_, request_, &queue);
    call_->Finish(&response_, &status_, tag);
  }

  absl::Status Finish() override { return FromGrpc(status_); }

 private:
  bench::EmptyService::Stub stub_;
  std::optional<grpc::ClientContext> context_;
  bench::NothingRequest request_;
  bench::NothingResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<bench::NothingResponse>> call_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ReportBench>> ReportBench::Create(const Channels& channels,
                                                                 const std::string& stream,
                                                                 int shards) {
  std::unique_ptr<ReportBench> bench(new ReportBench());
  bench->stream_ = stream;
  bench->worker_ = "bench-1";
  if (auto s = CreateStream(channels.Get(0), stream); !s.ok()) return s;
  // The first call opens the worker's session, without which it may list nothing.
  auto opened = Lease(channels.Get(0), stream, bench->worker_, 0, absl::Milliseconds(500));
  if (!opened.ok()) return opened.status();
  std::vector<std::string> names;
  for (int i = 0; i < shards; ++i) names.push_back(absl::StrCat(kFirstShard + i));
  if (auto s = AddShards(channels.Get(0), stream, bench->worker_, names); !s.ok()) return s;
  while (bench->shards_.size() < static_cast<size_t>(shards)) {
    auto leased =
        Lease(channels.Get(0), stream, bench->worker_, bench->shards_.size(), absl::Seconds(10));
    if (!leased.ok()) return leased.status();
    if (leased->leases().empty()) {
      return absl::InternalError(absl::StrCat("only ", bench->shards_.size(), " of ", shards,
                                              " shards were leased in ten seconds"));
    }
    for (const v1::Lease& lease : leased->leases()) {
      bench->shards_.push_back(
          {lease.shard(), lease.epoch(), lease.delivery().delivery(), kFirstSequence});
      bench->config_etag_ = lease.config_etag();
    }
  }
  return bench;
}

std::vector<std::unique_ptr<Slot>> ReportBench::Slots(const Channels& channels, int in_flight) {
  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < in_flight; ++i) {
    auto slot = std::make_unique<ReportSlot>(channels.Get(i), stream_, worker_, config_etag_);
    for (size_t k = i; k < shards_.size(); k += in_flight) slot->Add(shards_[k]);
    slots.push_back(std::move(slot));
  }
  return slots;
}

std::vector<std::unique_ptr<Slot>> EmptySlots(const Channels& channels, int in_flight) {
  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < in_flight; ++i) {
    slots.push_back(std::make_unique<EmptySlot>(channels.Get(i)));
  }
  return slots;
}

}  // namespace lowmark
