#include "tests/bench/fleet_servers.h"

#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tests/bench/machine.h"
#include "tests/bench/streams.h"

namespace lowmark {
namespace {

constexpr char kDatabase[] = "lowmark";
// A worker that adds shards and asks for none.
constexpr char kRegistrar[] = "registrar";
// Stands in each line of PostgreSQL's log before a transaction's number; statements
// of others than the coordinators have no number there.
constexpr char kTransactionMark[] = "lowmark-transaction ";

std::string ShardName(int number) { return absl::StrFormat("%06d", number); }

std::shared_ptr<grpc::Channel> Connect(const ServerProcess& server) {
  return grpc::CreateChannel(server.address, grpc::InsecureChannelCredentials());
}

}  // namespace

absl::StatusOr<std::unique_ptr<FleetServers>> FleetServers::Start(const std::string& directory,
                                                                  const std::string& coordinator) {
  std::unique_ptr<FleetServers> servers(new FleetServers());
  servers->program_ = coordinator;
  auto cluster = StartDurablePostgres(
      directory, {"shared_buffers=512MB", "max_wal_size=4GB",
                  absl::StrCat("log_line_prefix=%a ", kTransactionMark, "%v ")});
  if (!cluster.ok()) return cluster.status();
  servers->cluster_ = *std::move(cluster);
  if (auto s = servers->cluster_->CreateDatabase(kDatabase); !s.ok()) return s;
  return servers;
}

absl::Status FleetServers::StartCoordinators(int count, const std::vector<std::string>& arguments) {
  for (ServerProcess& server : coordinators_) server.process->Terminate(absl::Seconds(10));
  coordinators_.clear();
  for (int i = 0; i < count; ++i) {
    auto server = StartCoordinator(
        program_, cluster_->ConnectionString(kDatabase),
        absl::StrCat(cluster_->socket_directory(), "/", ++started_, ".log"), arguments);
    if (!server.ok()) return server.status();
    coordinators_.push_back(*std::move(server));
  }
  return absl::OkStatus();
}

std::vector<std::string> FleetServers::Addresses() const {
  std::vector<std::string> addresses;
  for (const ServerProcess& server : coordinators_) addresses.push_back(server.address);
  return addresses;
}

absl::Status FleetServers::MakeStream(const std::string& stream, int shards) {
  const auto channel = Connect(coordinators_[0]);
  if (auto s = CreateStream(channel, stream); !s.ok()) return s;
  // The first call opens a session, without which it may list nothing.
  auto opened = Lease(channel, stream, kRegistrar, 0, absl::Seconds(10));
  if (!opened.ok()) return opened.status();
  std::vector<std::string> names;
  for (int i = 0; i < shards; ++i) names.push_back(ShardName(i));
  return AddShards(channel, stream, kRegistrar, names);
}

absl::Status FleetServers::AddShard(const std::string& stream, int number) {
  return AddShards(Connect(coordinators_[0]), stream, kRegistrar, {ShardName(number)});
}

absl::StatusOr<std::string> FleetServers::Query(const std::string& sql) const {
  return cluster_->Query(kDatabase, sql);
}

absl::StatusOr<std::map<std::string, int64_t>> FleetServers::RowsWritten() const {
  auto text = Query(
      "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables "
      "WHERE schemaname = 'lowmark'");
  if (!text.ok()) return text.status();
  const std::vector<std::string> rows = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  std::map<std::string, int64_t> written;
  for (const std::string& row : rows) {
    const std::pair<std::string, std::string> columns = absl::StrSplit(row, '|');
    if (!absl::SimpleAtoi(columns.second, &written[columns.first])) {
      return absl::InternalError(absl::StrCat("not a row of statistics: ", row));
    }
  }
  return written;
}

absl::Status FleetServers::CheckCheckpoints(const std::string& stream, FleetLedger& ledger) const {
  auto rows =
      Query(absl::StrCat("SELECT shard, sequence FROM lowmark.shards JOIN lowmark.streams USING "
                         "(stream_id) WHERE name = '",
                         stream, "'"));
  if (!rows.ok()) return rows.status();
  ledger.CheckRows(*rows);
  return absl::OkStatus();
}

absl::Status FleetServers::NoteTransactions(bool on) {
  auto set = Query(on ? "ALTER SYSTEM SET log_statement = 'all'" : "ALTER SYSTEM RESET ALL");
  if (!set.ok()) return set.status();
  auto reloaded = Query("SELECT pg_reload_conf()");
  if (!reloaded.ok()) return reloaded.status();
  CountTransactions();
  return absl::OkStatus();
}

int64_t FleetServers::CountTransactions() {
  const std::string mark = absl::StrCat("lowmark ", kTransactionMark);
  std::ifstream log(cluster_->log_path());
  log.seekg(log_read_);
  std::set<std::string> transactions;
  // A line without its end is still being written.
  for (std::string line; std::getline(log, line) && !log.eof();) {
    log_read_ += static_cast<int64_t>(line.size()) + 1;
    if (line.rfind(mark, 0) != 0) continue;
    transactions.insert(line.substr(mark.size(), line.find(' ', mark.size()) - mark.size()));
  }
  return static_cast<int64_t>(transactions.size());
}

}  // namespace lowmark
