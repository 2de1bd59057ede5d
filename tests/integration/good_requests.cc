#include "tests/integration/good_requests.h"

#include <gtest/gtest.h>

#include "absl/strings/numbers.h"

namespace lowmark {
namespace {

using CoordinatorStub = v1::CoordinatorService::Stub;
using AdminStub = v1::AdminService::Stub;

v1::OnFailure FullOnFailure() {
  v1::OnFailure on_failure;
  on_failure.mutable_http()->set_url("http://localhost:8080/letters");
  (*on_failure.mutable_http()->mutable_headers())["X-Team"] = "orders";
  on_failure.mutable_timeout()->set_seconds(5);
  on_failure.set_maximum_data_bytes(1000);
  on_failure.set_function_arn("arn:aws:lambda:local:0:function:f");
  on_failure.set_stream_arn("arn:aws:kinesis:local:0:stream/s");
  return on_failure;
}

v1::StreamConfig FullConfig() {
  v1::StreamConfig config;
  config.set_batch_size(3);
  config.mutable_maximum_batching_window()->set_seconds(1);
  config.set_maximum_batch_bytes(1 << 20);
  config.mutable_starting_position()->mutable_at_timestamp()->set_seconds(1'700'000'000);
  config.set_report_batch_item_failures(true);
  config.set_bisect_batch_on_failure(true);
  config.set_maximum_retry_attempts(5);
  config.mutable_maximum_record_age()->set_seconds(3600);
  config.set_discard_scope(v1::DISCARD_SCOPE_RECORD);
  config.mutable_retry_backoff()->mutable_initial()->set_seconds(1);
  config.mutable_retry_backoff()->set_multiplier(2);
  config.mutable_retry_backoff()->mutable_maximum()->set_seconds(60);
  config.mutable_retry_backoff()->set_jitter(0.1);
  config.set_maximum_lost_deliveries(3);
  config.mutable_handler_timeout()->set_seconds(10);
  config.mutable_handoff_timeout()->set_seconds(10);
  config.set_sequence_order(v1::SEQUENCE_ORDER_NUMERIC);
  config.set_paused(false);
  config.set_frozen(false);
  config.set_balance_by(v1::BALANCE_BY_SHARDS);
  *config.mutable_on_failure() = FullOnFailure();
  return config;
}

void AddRecord(v1::RecordData* record, const std::string& sequence) {
  record->set_sequence(sequence);
  record->set_partition_key("key");
  record->mutable_arrival_time()->set_seconds(1'700'000'000);
  record->set_data("data");
  v1::RecordHeader* header = record->add_headers();
  header->set_name("name");
  header->set_value("value");
}

void AddTrouble(v1::Trouble* trouble) {
  trouble->set_kind(v1::TROUBLE_KIND_SOURCE);
  trouble->set_message("access denied");
  trouble->mutable_lasted()->set_seconds(1);
}

v1::ReportBatchRequest Report(int64_t epoch, int64_t delivery, int first, int last) {
  v1::ReportBatchRequest report;
  report.set_stream("orders");
  report.set_shard("1");
  report.set_worker("w");
  report.set_epoch(epoch);
  report.set_delivery(delivery);
  report.set_first_sequence(std::to_string(first));
  report.set_last_sequence(std::to_string(last));
  report.set_record_count(last - first + 1);
  report.set_config_etag("known");
  return report;
}

v1::LeaseShardRequest LeaseRequest(int held) {
  v1::LeaseShardRequest lease;
  lease.set_stream("orders");
  lease.set_worker("w");
  lease.set_max_leases(1);
  lease.set_capacity(1);
  lease.set_held_leases(held);
  return lease;
}

// What MakeGoodRequests promises; the dead letter's id.
std::string SetUp(RunningServer& server, int64_t& epoch) {
  v1::CreateStreamRequest create;
  create.set_stream("orders");
  v1::CreateStreamResponse created;
  EXPECT_TRUE(Call(&AdminStub::CreateStream, server.admin(), create, &created).ok());
  v1::LeaseShardResponse leased;
  EXPECT_TRUE(Call(&CoordinatorStub::LeaseShard, server.workers(), LeaseRequest(0), &leased).ok());
  v1::SyncShardsRequest sync;
  sync.set_stream("orders");
  sync.set_worker("w");
  sync.add_shards()->set_shard("1");
  sync.add_shards()->set_shard("2");
  v1::SyncShardsResponse synced;
  EXPECT_TRUE(Call(&CoordinatorStub::SyncShards, server.workers(), sync, &synced).ok());
  EXPECT_TRUE(Call(&CoordinatorStub::LeaseShard, server.workers(), LeaseRequest(0), &leased).ok());
  EXPECT_EQ(leased.leases_size(), 1);
  EXPECT_EQ(leased.leases(0).shard(), "1");
  epoch = leased.leases(0).epoch();
  v1::ReportBatchRequest report = Report(epoch, 1, 1, 3);
  for (const char* sequence : {"1", "2", "3"}) report.mutable_set_aside()->add_sequences(sequence);
  report.mutable_set_aside()->set_count(1);
  report.mutable_set_aside()->set_condition(v1::DEAD_LETTER_CONDITION_RECORD_UNREADABLE);
  AddRecord(report.mutable_set_aside()->add_records(), "1");
  v1::ReportBatchResponse reported;
  EXPECT_TRUE(Call(&CoordinatorStub::ReportBatch, server.workers(), report, &reported).ok());
  v1::ListDeadLettersRequest list;
  list.set_stream("orders");
  v1::ListDeadLettersResponse letters;
  EXPECT_TRUE(Call(&AdminStub::ListDeadLetters, server.admin(), list, &letters).ok());
  EXPECT_EQ(letters.dead_letters_size(), 1);
  return letters.dead_letters(0).id();
}

// Worker "w" holds shard "1" of stream "latest", and has read nothing of it; its epoch.
int64_t SetUpLatest(RunningServer& server) {
  v1::CreateStreamRequest create;
  create.set_stream("latest");
  create.mutable_config()->mutable_starting_position()->mutable_latest();
  v1::CreateStreamResponse created;
  EXPECT_TRUE(Call(&AdminStub::CreateStream, server.admin(), create, &created).ok());
  v1::LeaseShardRequest lease = LeaseRequest(0);
  lease.set_stream("latest");
  v1::LeaseShardResponse leased;
  EXPECT_TRUE(Call(&CoordinatorStub::LeaseShard, server.workers(), lease, &leased).ok());
  v1::SyncShardsRequest sync;
  sync.set_stream("latest");
  sync.set_worker("w");
  sync.add_shards()->set_shard("1");
  v1::SyncShardsResponse synced;
  EXPECT_TRUE(Call(&CoordinatorStub::SyncShards, server.workers(), sync, &synced).ok());
  EXPECT_TRUE(Call(&CoordinatorStub::LeaseShard, server.workers(), lease, &leased).ok());
  EXPECT_EQ(leased.leases_size(), 1);
  return leased.leases(0).epoch();
}

class Collector {
 public:
  template <typename Request>
  void Add(const std::string& name, const Request& request) {
    const std::string method = name.substr(0, name.find('/'));
    GoodRequest good;
    good.name = name;
    for (const auto* each : AllMethods()) {
      if (each->name() == method) good.method = each;
    }
    EXPECT_NE(good.method, nullptr) << name << " is no method";
    good.request = std::make_shared<Request>(request);
    requests.push_back(std::move(good));
  }

  std::vector<GoodRequest> requests;
};

void AddReports(int64_t epoch, Collector& good) {
  const v1::ReportBatchRequest base = Report(epoch, 2, 2, 3);
  v1::ReportBatchRequest success = base;
  success.mutable_success()->set_shard_end(true);
  success.mutable_success()->set_vanished("gone");
  good.Add("ReportBatch/success", success);

  v1::ReportBatchRequest failure = base;
  failure.mutable_failure()->add_sequences("2");
  failure.mutable_failure()->add_sequences("3");
  failure.mutable_failure()->add_failed_sequences("3");
  failure.mutable_failure()->set_error_type("ValueError");
  failure.mutable_failure()->set_error_message("line one\n\tline two");
  AddRecord(failure.mutable_failure()->add_records(), "3");
  good.Add("ReportBatch/failure", failure);

  v1::ReportBatchRequest set_aside = base;
  set_aside.mutable_set_aside()->add_sequences("2");
  set_aside.mutable_set_aside()->add_sequences("3");
  set_aside.mutable_set_aside()->set_count(1);
  set_aside.mutable_set_aside()->set_condition(v1::DEAD_LETTER_CONDITION_RECORD_TOO_LARGE);
  set_aside.mutable_set_aside()->set_error_message("too large");
  AddRecord(set_aside.mutable_set_aside()->add_records(), "2");
  good.Add("ReportBatch/set_aside", set_aside);

  v1::ReportBatchRequest not_run = base;
  not_run.mutable_not_run()->set_error_type("ConnectError");
  not_run.mutable_not_run()->set_error_message("refused");
  good.Add("ReportBatch/not_run", not_run);

  v1::ReportBatchRequest started = base;
  started.mutable_started()->add_sequences("2");
  started.mutable_started()->add_sequences("3");
  good.Add("ReportBatch/started", started);
}

void AddResolved(int64_t epoch, Collector& good) {
  v1::ReportBatchRequest resolved = Report(epoch, 1, 1, 0);
  resolved.set_stream("latest");
  resolved.clear_first_sequence();
  resolved.clear_last_sequence();
  resolved.mutable_resolved()->mutable_position()->set_at_sequence("7");
  good.Add("ReportBatch/resolved_at", resolved);
  resolved.mutable_resolved()->mutable_position()->mutable_at_timestamp()->set_seconds(
      1'700'000'000);
  good.Add("ReportBatch/resolved_at_timestamp", resolved);
}

void AddOtherWorkerCalls(int64_t epoch, Collector& good) {
  good.Add("LeaseShard", LeaseRequest(1));
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_stream("orders");
  heartbeat.set_worker("w");
  heartbeat.add_loads()->set_shard("1");
  heartbeat.mutable_loads(0)->set_load(1.5);
  v1::ShardStat* stat = heartbeat.add_stats();
  stat->set_shard("1");
  stat->set_epoch(epoch);
  stat->set_idle(true);
  stat->mutable_lag_age()->set_seconds(1);
  stat->set_backlog(1);
  AddTrouble(stat->mutable_trouble());
  AddTrouble(heartbeat.mutable_listing()->mutable_trouble());
  good.Add("Heartbeat", heartbeat);
  v1::ReleaseShardRequest release;
  release.set_stream("orders");
  release.set_shard("1");
  release.set_worker("w");
  release.set_epoch(epoch);
  good.Add("ReleaseShard", release);
  v1::SyncShardsRequest sync;
  sync.set_stream("orders");
  sync.set_worker("w");
  v1::SourceShard* shard = sync.add_shards();
  shard->set_shard("3");
  shard->add_parents("1");
  shard->add_former_parents("0");
  good.Add("SyncShards", sync);
}

void AddStreamCalls(Collector& good) {
  v1::CreateStreamRequest create;
  create.set_stream("fresh");
  *create.mutable_config() = FullConfig();
  create.set_preset(v1::PRESET_LAMBDA);
  good.Add("CreateStream/at_timestamp", create);
  create.mutable_config()->mutable_starting_position()->mutable_trim_horizon();
  v1::KafkaDestination& kafka = *create.mutable_config()->mutable_on_failure()->mutable_kafka();
  kafka.set_brokers("localhost:9092");
  kafka.set_topic("letters");
  (*kafka.mutable_properties())["client.id"] = "lowmark";
  good.Add("CreateStream/trim_horizon", create);
  create.mutable_config()->mutable_on_failure()->mutable_directory()->set_path("letters");
  good.Add("CreateStream/directory", create);
  v1::GetStreamRequest get;
  get.set_stream("orders");
  good.Add("GetStream", get);
  v1::ListStreamsRequest list;
  list.set_page_size(10);
  list.set_page_token("a");
  good.Add("ListStreams", list);
  v1::UpdateStreamRequest update;
  update.set_stream("orders");
  *update.mutable_config() = FullConfig();
  update.mutable_update_mask()->add_paths("*");
  good.Add("UpdateStream", update);
  v1::DeleteStreamRequest remove;
  remove.set_stream("orders");
  good.Add("DeleteStream", remove);
}

void AddWorkerAdministration(Collector& good) {
  v1::ListWorkersRequest list;
  list.set_stream("orders");
  list.set_page_size(10);
  list.set_page_token("a");
  good.Add("ListWorkers", list);
  v1::CordonWorkerRequest cordon;
  cordon.set_stream("orders");
  cordon.set_worker("w");
  good.Add("CordonWorker", cordon);
  v1::UncordonWorkerRequest uncordon;
  uncordon.set_stream("orders");
  uncordon.set_worker("w");
  good.Add("UncordonWorker", uncordon);
  v1::DrainWorkerRequest drain;
  drain.set_stream("orders");
  drain.set_worker("w");
  good.Add("DrainWorker", drain);
}

void AddShardCalls(const std::string& dead_letter, Collector& good) {
  v1::GetShardRequest get;
  get.set_stream("orders");
  get.set_shard("1");
  good.Add("GetShard", get);
  v1::ListShardsRequest list;
  list.set_stream("orders");
  list.set_page_size(10);
  list.set_page_token("0");
  good.Add("ListShards", list);
  v1::SeekShardRequest seek;
  seek.set_stream("orders");
  seek.set_shard("1");
  seek.set_reason("a test");
  seek.mutable_position()->set_at_sequence("5");
  good.Add("SeekShard/at_sequence", seek);
  seek.mutable_position()->set_after_sequence("5");
  good.Add("SeekShard/after_sequence", seek);
  seek.mutable_position()->mutable_at_timestamp()->set_seconds(1);
  good.Add("SeekShard/at_timestamp", seek);
  seek.mutable_position()->mutable_latest();
  good.Add("SeekShard/latest", seek);
  v1::GetDeadLetterRequest letter;
  letter.set_stream("orders");
  letter.set_id(dead_letter);
  good.Add("GetDeadLetter", letter);
  v1::ListDeadLettersRequest letters;
  letters.set_stream("orders");
  letters.set_shard("1");
  letters.set_page_size(10);
  letters.set_page_token("1");
  good.Add("ListDeadLetters", letters);
}

}  // namespace

std::vector<GoodRequest> MakeGoodRequests(RunningServer& server) {
  int64_t epoch = 0;
  const std::string dead_letter = SetUp(server, epoch);
  Collector good;
  AddReports(epoch, good);
  AddResolved(SetUpLatest(server), good);
  AddOtherWorkerCalls(epoch, good);
  AddStreamCalls(good);
  AddWorkerAdministration(good);
  AddShardCalls(dead_letter, good);
  return good.requests;
}

std::vector<const google::protobuf::MethodDescriptor*> AllMethods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const char* name :
       {v1::CoordinatorService::service_full_name(), v1::AdminService::service_full_name()}) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

}  // namespace lowmark
