#include "service/cli/commands.h"

#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/cli/apply.h"
#include "service/cli/show.h"
#include "service/cli/stream_fields.h"
#include "service/cli/stream_file.h"
#include "service/cli/text.h"
#include "service/security/connection_flags.h"

namespace lowmark::cli {
namespace {

using Stub = AdminClient::Stub;

constexpr char kSettings[] =
    "A field of the policy, such as batch_size=10, retry_backoff.initial=1s or\n"
    "starting_position=latest; may be repeated. `lowmark streams get` shows them all";

}  // namespace

Commands::Commands(Options& options, std::ostream& out, std::ostream& err) : out_(out), err_(err) {
  AddStreams(options);
  AddShards(options);
  AddWorkers(options);
  AddDeadLetters(options);
}

absl::Status Commands::Run() {
  for (const Command& command : commands_) {
    if (!command.app->parsed()) continue;
    auto client = AdminClient::Create(coordinator_, timeout_, security_);
    return client.ok() ? command.run(**client) : client.status();
  }
  return absl::OkStatus();
}

CLI::App& Commands::Add(Options& options, CLI::App& parent, const std::string& name,
                        const std::string& description, const std::string& example,
                        std::function<absl::Status(AdminClient&)> run) {
  CLI::App& command = options.AddCommand(parent, name, description, example);
  options.Add(command, "coordinator", coordinator_, "Where the coordinator is")
      ->type_name("HOST:PORT|unix:PATH")
      ->group("Connection");
  options.Add(command, "timeout", timeout_, "How long it may take to answer")->group("Connection");
  AddConnectionFlags(options, command, security_, "Connection");
  options.Add(command, "output,o", output_, "What to print: a table, or JSON")
      ->type_name("table|json")
      ->check(OneOf({"table", "json"}));
  commands_.push_back({&command, std::move(run)});
  return command;
}

void Commands::AddLimit(Options& options, CLI::App& command) {
  options.Add(command, "limit", limit_, "Show that many at most; 0 for all")
      ->check(Range(0, 1'000'000'000));
}

void Commands::AddStreams(Options& options) {
  CLI::App& streams = options.AddCommand(options.app(), "streams", "Streams and their policies",
                                         "lowmark streams list");
  CLI::App& list = Add(options, streams, "list", "List streams by name", "lowmark streams list",
                       [this](AdminClient& client) { return ListStreams(client); });
  AddLimit(options, list);

  CLI::App& get =
      Add(options, streams, "get", "Show a stream's policy", "lowmark streams get orders -o json",
          [this](AdminClient& client) { return GetStream(client); });
  get.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");

  CLI::App& create = Add(options, streams, "create", "Create a stream",
                         "lowmark streams create orders --set batch_size=10 --set "
                         "maximum_retry_attempts=3",
                         [this](AdminClient& client) { return CreateStream(client); });
  create.add_option("STREAM", stream_, "The new stream's name")->required()->type_name("");
  create.add_option("--preset", preset_, "Whose defaults to take: Lowmark's, or AWS Lambda's")
      ->type_name("lowmark|lambda")
      ->check(OneOf({"lowmark", "lambda"}))
      ->capture_default_str();
  create.add_option("--set", settings_, kSettings)
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);

  CLI::App& update = Add(options, streams, "update", "Change a stream's policy",
                         "lowmark streams update orders --set paused=true",
                         [this](AdminClient& client) { return UpdateStream(client); });
  update.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  update.add_option("--set", settings_, kSettings)
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  update.add_option("--reset", resets_, "A field to give its default; may be repeated")
      ->type_name("FIELD")
      ->allow_extra_args(false);
  update.add_option("--etag", etag_, "Change it only if it still has this etag")->type_name("ETAG");

  CLI::App& apply = Add(options, streams, "apply",
                        "Create the streams that a file declares, and change those that differ. "
                        "What it does not name is shown, and left alone",
                        "lowmark streams apply --file streams.yaml --dry-run",
                        [this](AdminClient& client) { return ApplyFile(client); });
  apply.add_option("-f,--file", file_, "YAML: streams: {orders: {config: {batch_size: 10}}}")
      ->type_name("FILE")
      ->required();
  apply.add_flag("--dry-run", dry_run_, "Show what would happen, and change nothing");

  CLI::App& remove = Add(options, streams, "delete",
                         "Delete a stream with its shards, checkpoints and dead letters, "
                         "without asking",
                         "lowmark streams delete orders",
                         [this](AdminClient& client) { return DeleteStream(client); });
  remove.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  remove.add_option("--etag", etag_, "Delete it only if it still has this etag")->type_name("ETAG");
}

void Commands::AddShards(Options& options) {
  CLI::App& shards =
      options.AddCommand(options.app(), "shards", "Shards, their leases and checkpoints",
                         "lowmark shards list orders");
  CLI::App& list =
      Add(options, shards, "list", "List a stream's shards", "lowmark shards list orders",
          [this](AdminClient& client) { return ListShards(client); });
  list.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  AddLimit(options, list);

  CLI::App& get = Add(options, shards, "get", "Show a shard", "lowmark shards get orders shard-0",
                      [this](AdminClient& client) { return GetShard(client); });
  get.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  get.add_option("SHARD", shard_, "The shard's id")->required()->type_name("");

  CLI::App& seek = Add(options, shards, "seek",
                       "Move a shard's checkpoint, forward or back. Its lease ends, and the move "
                       "is kept in the audit",
                       "lowmark shards seek orders shard-0 at 4096 --reason 'bad deploy' --dry-run",
                       [this](AdminClient& client) { return SeekShard(client); });
  seek.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  seek.add_option("SHARD", shard_, "The shard's id")->required()->type_name("");
  seek.add_option("POSITION", position_,
                  "trim_horizon, latest, at SEQUENCE, after SEQUENCE, or\n"
                  "at_timestamp TIME (2026-01-31T12:00:00Z)")
      ->required()
      ->type_name("")
      ->expected(1, 2);
  seek.add_option("--reason", reason_, "Why, for the audit (required)")
      ->type_name("TEXT")
      ->required();
  seek.add_flag("--dry-run", dry_run_, "Show what would happen, and change nothing");
}

void Commands::AddWorkers(Options& options) {
  CLI::App& workers =
      options.AddCommand(options.app(), "workers", "Workers, and which of them get shards",
                         "lowmark workers list orders");
  CLI::App& list = Add(
      options, workers, "list", "List a stream's workers, with those that ended within a day",
      "lowmark workers list orders", [this](AdminClient& client) { return ListWorkers(client); });
  list.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  AddLimit(options, list);

  const auto add = [&](const std::string& name, const std::string& description,
                       absl::Status (Commands::*run)(AdminClient&)) {
    CLI::App& command = Add(options, workers, name, description,
                            absl::StrCat("lowmark workers ", name, " orders w-1"),
                            [this, run](AdminClient& client) { return (this->*run)(client); });
    command.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
    command.add_option("WORKER", worker_, "The worker's id, as `lowmark workers list` shows it")
        ->required()
        ->type_name("");
  };
  add("cordon",
      "Let a worker get no more shards, while it goes on with those it holds. `lowmark workers "
      "uncordon` ends that, a restart of the worker too",
      &Commands::CordonWorker);
  add("uncordon", "Let a worker get shards again, after a cordon or a drain",
      &Commands::UncordonWorker);
  add("drain",
      "Cordon a worker, and have it hand over all its shards. Each moves once its batch is "
      "reported, so nothing is delivered twice, unless that takes longer than the stream's "
      "handoff_timeout",
      &Commands::DrainWorker);
}

void Commands::AddDeadLetters(Options& options) {
  CLI::App& letters =
      options.AddCommand(options.app(), "dead-letters", "Records that were set aside",
                         "lowmark dead-letters list orders");
  CLI::App& list = Add(options, letters, "list", "List a stream's dead letters, oldest first",
                       "lowmark dead-letters list orders --shard shard-0",
                       [this](AdminClient& client) { return ListDeadLetters(client); });
  list.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  list.add_option("--shard", shard_, "Only this shard's")->type_name("SHARD");
  AddLimit(options, list);

  CLI::App& get = Add(options, letters, "get", "Show a dead letter with its records",
                      "lowmark dead-letters get orders 17",
                      [this](AdminClient& client) { return GetDeadLetter(client); });
  get.add_option("STREAM", stream_, "The stream's name")->required()->type_name("");
  get.add_option("ID", id_, "The dead letter's id")->required()->type_name("");
}

template <typename Message, typename Show>
absl::Status Commands::Print(const absl::StatusOr<Message>& message, Show show) {
  if (!message.ok()) return message.status();
  if (output_ == "json") {
    ShowJson(*message, out_);
  } else {
    show(*message, out_);
  }
  return absl::OkStatus();
}

template <typename Response, typename Show>
absl::Status Commands::PrintList(const absl::StatusOr<Response>& list, int size,
                                 const std::string& what, Show show) {
  if (!list.ok()) return list.status();
  if (output_ == "json") {
    ShowJson(*list, out_);
  } else if (size == 0) {
    err_ << "There are no " << what << ".\n";
  } else {
    show(*list, out_);
  }
  if (!list->next_page_token().empty()) {
    err_ << "These are the first " << size << "; --limit 0 shows all.\n";
  }
  return absl::OkStatus();
}

absl::Status Commands::ListStreams(AdminClient& client) {
  auto size = [](const v1::ListStreamsResponse& page) { return page.streams_size(); };
  auto streams = client.List(&Stub::ListStreams, v1::ListStreamsRequest(), limit_, size);
  return PrintList(streams, streams.ok() ? size(*streams) : 0, "streams", ShowStreams);
}

absl::Status Commands::GetStream(AdminClient& client) {
  v1::GetStreamRequest request;
  request.set_stream(stream_);
  auto response = client.Call(&Stub::GetStream, request);
  if (!response.ok()) return response.status();
  return Print<v1::Stream>(response->stream(), ShowStream);
}

absl::Status Commands::CreateStream(AdminClient& client) {
  v1::CreateStreamRequest request;
  request.set_stream(stream_);
  if (preset_ == "lambda") request.set_preset(v1::PRESET_LAMBDA);
  for (const std::string& setting : settings_) {
    auto field = SetField(setting, *request.mutable_config());
    if (!field.ok()) return field.status();
  }
  auto response = client.Call(&Stub::CreateStream, request);
  if (!response.ok()) return response.status();
  return Print<v1::Stream>(response->stream(), ShowStream);
}

absl::Status Commands::UpdateStream(AdminClient& client) {
  v1::UpdateStreamRequest request;
  request.set_stream(stream_);
  request.set_etag(etag_);
  for (const std::string& setting : settings_) {
    auto field = SetField(setting, *request.mutable_config());
    if (!field.ok()) return field.status();
    request.mutable_update_mask()->add_paths(*field);
  }
  for (const std::string& name : resets_) {
    if (auto s = CheckResettable(name); !s.ok()) return s;
    request.mutable_update_mask()->add_paths(name);
  }
  if (request.update_mask().paths().empty()) {
    return absl::InvalidArgumentError("nothing to change: give --set FIELD=VALUE or --reset FIELD");
  }
  auto response = client.Call(&Stub::UpdateStream, request);
  if (!response.ok()) return response.status();
  return Print<v1::Stream>(response->stream(), ShowStream);
}

absl::Status Commands::ApplyFile(AdminClient& client) {
  auto declared = ReadStreamFile(file_);
  if (!declared.ok()) return declared.status();
  auto applied = ApplyStreams(*declared, dry_run_, client);
  if (!applied.ok()) return applied.status();
  (output_ == "json" ? ShowAppliedJson : ShowApplied)(*applied, dry_run_, out_);
  return absl::OkStatus();
}

absl::Status Commands::DeleteStream(AdminClient& client) {
  v1::DeleteStreamRequest request;
  request.set_stream(stream_);
  request.set_etag(etag_);
  return Print(client.Call(&Stub::DeleteStream, request),
               [&](const v1::DeleteStreamResponse&, std::ostream& out) {
                 out << "Deleted the stream " << Safe(stream_) << ".\n";
               });
}

absl::Status Commands::ListShards(AdminClient& client) {
  v1::ListShardsRequest request;
  request.set_stream(stream_);
  auto size = [](const v1::ListShardsResponse& page) { return page.shards_size(); };
  auto shards = client.List(&Stub::ListShards, request, limit_, size);
  if (!shards.ok()) return shards.status();
  return PrintList(shards, size(*shards), WhyNoShards(stream_, *shards), ShowShards);
}

absl::Status Commands::GetShard(AdminClient& client) {
  v1::GetShardRequest request;
  request.set_stream(stream_);
  request.set_shard(shard_);
  auto response = client.Call(&Stub::GetShard, request);
  if (!response.ok()) return response.status();
  return Print<v1::Shard>(response->shard(), ShowShard);
}

absl::Status Commands::SeekShard(AdminClient& client) {
  auto position = ParsePosition(absl::StrJoin(position_, " "));
  if (!position.ok()) return position.status();
  v1::SeekShardRequest request;
  request.set_stream(stream_);
  request.set_shard(shard_);
  *request.mutable_position() = *std::move(position);
  request.set_reason(reason_);
  request.set_dry_run(dry_run_);
  return Print(
      client.Call(&Stub::SeekShard, request),
      [&](const v1::SeekShardResponse& seek, std::ostream& out) { ShowSeek(seek, dry_run_, out); });
}

absl::Status Commands::ListWorkers(AdminClient& client) {
  v1::ListWorkersRequest request;
  request.set_stream(stream_);
  auto size = [](const v1::ListWorkersResponse& page) { return page.workers_size(); };
  auto workers = client.List(&Stub::ListWorkers, request, limit_, size);
  return PrintList(workers, workers.ok() ? size(*workers) : 0,
                   absl::StrCat("workers in ", Safe(stream_), "; one appears with its first call"),
                   ShowWorkers);
}

absl::Status Commands::CordonWorker(AdminClient& client) {
  v1::CordonWorkerRequest request;
  request.set_stream(stream_);
  request.set_worker(worker_);
  auto response = client.Call(&Stub::CordonWorker, request);
  if (!response.ok()) return response.status();
  return Print<v1::Worker>(response->worker(), ShowCordon);
}

absl::Status Commands::UncordonWorker(AdminClient& client) {
  v1::UncordonWorkerRequest request;
  request.set_stream(stream_);
  request.set_worker(worker_);
  auto response = client.Call(&Stub::UncordonWorker, request);
  if (!response.ok()) return response.status();
  return Print<v1::Worker>(response->worker(), ShowUncordon);
}

absl::Status Commands::DrainWorker(AdminClient& client) {
  // Its policy says how long the drain may take.
  v1::GetStreamRequest get;
  get.set_stream(stream_);
  auto stream = client.Call(&Stub::GetStream, get);
  if (!stream.ok()) return stream.status();
  v1::DrainWorkerRequest request;
  request.set_stream(stream_);
  request.set_worker(worker_);
  auto response = client.Call(&Stub::DrainWorker, request);
  if (!response.ok()) return response.status();
  return Print<v1::Worker>(response->worker(), [&](const v1::Worker& worker, std::ostream& out) {
    ShowDrain(worker, stream->stream().config(), out);
  });
}

absl::Status Commands::ListDeadLetters(AdminClient& client) {
  v1::ListDeadLettersRequest request;
  request.set_stream(stream_);
  request.set_shard(shard_);
  auto size = [](const v1::ListDeadLettersResponse& page) { return page.dead_letters_size(); };
  auto letters = client.List(&Stub::ListDeadLetters, request, limit_, size);
  const std::string of = shard_.empty() ? stream_ : absl::StrCat("shard ", shard_, " of ", stream_);
  return PrintList(letters, letters.ok() ? size(*letters) : 0,
                   absl::StrCat("dead letters in ", Safe(of)), ShowDeadLetters);
}

absl::Status Commands::GetDeadLetter(AdminClient& client) {
  v1::GetDeadLetterRequest request;
  request.set_stream(stream_);
  request.set_id(id_);
  auto response = client.Call(&Stub::GetDeadLetter, request);
  if (!response.ok()) return response.status();
  return Print<v1::DeadLetter>(response->dead_letter(), ShowDeadLetter);
}

}  // namespace lowmark::cli
