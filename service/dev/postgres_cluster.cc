#include "service/dev/postgres_cluster.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/dev/process_handle.h"

namespace lowmark {
namespace {

namespace fs = std::filesystem;

// sun_path has 108 bytes, of which "/.s.PGSQL.5432.lock" and a NUL are not ours.
constexpr size_t kSocketDirectoryLimit = 107 - sizeof("/.s.PGSQL.5432.lock");

// Of the characters that may be in a path, PostgreSQL and libpq cut lists of
// directories at some, and quote in different ways.
bool CanHoldSocket(const std::string& directory) {
  return directory.size() <= kSocketDirectoryLimit &&
         std::all_of(directory.begin(), directory.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || absl::StrContains("/._-", c);
         });
}

absl::Status Errno(absl::string_view what, absl::string_view path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::string> MakeTemporaryDirectory(const std::string& prefix) {
  std::error_code error;
  std::string path = fs::temp_directory_path(error).string() + "/" + prefix + "-XXXXXX";
  if (error || mkdtemp(path.data()) == nullptr) return Errno("make the directory", path);
  return path;
}

// A value of a connection string.
std::string Quote(absl::string_view value) {
  return absl::StrCat("'", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

}  // namespace

absl::StatusOr<std::string> FindPostgres(const std::string& version) {
  const std::string root = "/usr/lib/postgresql";
  int newest = 0;
  std::string found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename();
    const std::string bin = entry.path() / "bin";
    int number = 0;
    if (!absl::SimpleAtoi(name, &number) || !fs::exists(bin + "/initdb", error)) continue;
    if (name == version) return bin;
    if (number > newest) {
      newest = number;
      found = bin;
    }
  }
  if (!found.empty()) return found;
  ProcessOptions pg_config;
  pg_config.argv = {"pg_config", "--bindir"};
  if (auto result = RunCommand(pg_config, absl::Seconds(10)); result.ok() && result->exit.ok()) {
    const std::string bin(absl::StripAsciiWhitespace(result->output));
    if (fs::exists(bin + "/initdb", error)) return bin;
  }
  if (auto initdb = FindProgram("initdb"); initdb.ok()) {
    return fs::path(*initdb).parent_path().string();
  }
  return absl::NotFoundError(
      "PostgreSQL's server programs are not installed: install them, on Debian with "
      "`apt-get install postgresql`");
}

absl::StatusOr<std::unique_ptr<PostgresCluster>> PostgresCluster::Create(
    PostgresClusterOptions options) {
  auto cluster = std::unique_ptr<PostgresCluster>(new PostgresCluster(std::move(options)));
  if (geteuid() == 0) {
    auto account = FindAccount("postgres");
    if (!account.ok()) account = FindAccount("nobody");
    if (!account.ok()) return account.status();
    cluster->account_ = *account;
  }
  if (auto s = cluster->MakeDirectories(); !s.ok()) return s;
  const std::string version = ReadFile(cluster->data_directory_ + "/PG_VERSION");
  auto bin = FindPostgres(std::string(absl::StripAsciiWhitespace(version)));
  if (!bin.ok()) return bin.status();
  cluster->bin_directory_ = *bin;
  if (version.empty()) {
    if (auto s = cluster->Initialize(); !s.ok()) return s;
  }
  return cluster;
}

PostgresCluster::~PostgresCluster() {
  if (!Stop().ok()) (void)Kill();
  std::error_code error;
  if (temporary_socket_) fs::remove_all(socket_directory_, error);
  if (temporary_) fs::remove_all(directory_, error);
}

absl::Status PostgresCluster::MakeDirectories() {
  std::error_code error;
  if (options_.directory.empty()) {
    auto directory = MakeTemporaryDirectory("lowmark-pg");
    if (!directory.ok()) return directory.status();
    directory_ = *directory;
    temporary_ = true;
  } else {
    directory_ = fs::absolute(options_.directory, error).lexically_normal().string();
    fs::create_directories(directory_, error);
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot make the directory ", directory_, ": ", error.message()));
    }
  }
  data_directory_ = directory_ + "/data";
  log_path_ = directory_ + "/postgres.log";
  if (account_) {
    if (chown(directory_.c_str(), account_->uid, account_->gid) != 0) {
      return Errno("give away", directory_);
    }
    // Root's own home, for one, is closed to others.
    ProcessOptions enter;
    enter.argv = {"test", "-w", directory_};
    enter.user = account_;
    auto entered = RunCommand(enter, absl::Seconds(10));
    if (!entered.ok()) return entered.status();
    if (!entered->exit.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "PostgreSQL does not run as root, and the user ", account_->name, " cannot enter ",
          directory_, ": choose a directory that it can, such as one below /var/lib or /tmp"));
    }
  }
  return MakeSocketDirectory();
}

absl::Status PostgresCluster::MakeSocketDirectory() {
  socket_directory_ = directory_ + "/socket";
  if (!CanHoldSocket(socket_directory_)) {
    auto directory = MakeTemporaryDirectory("lowmark-socket");
    if (!directory.ok()) return directory.status();
    socket_directory_ = *directory;
    temporary_socket_ = true;
  } else if (mkdir(socket_directory_.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno("make the directory", socket_directory_);
  }
  if (account_ && chown(socket_directory_.c_str(), account_->uid, account_->gid) != 0) {
    return Errno("give away", socket_directory_);
  }
  return absl::OkStatus();
}

absl::Status PostgresCluster::Initialize() {
  // Made elsewhere and renamed when it is whole: data/ is never half a cluster.
  const std::string fresh = directory_ + "/data.new";
  std::error_code error;
  fs::remove_all(fresh, error);
  ProcessOptions initdb;
  initdb.argv = {bin_directory_ + "/initdb", "--pgdata=" + fresh, "--username=postgres",
                 "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions",
                 // Half the time goes into it, and what it saves is an empty cluster from a crash
                 // of the machine in its first seconds. What is written later is safe as usual.
                 "--no-sync"};
  initdb.directory = directory_;
  initdb.user = account_;
  auto result = RunCommand(initdb, options_.timeout);
  if (!result.ok()) return result.status();
  if (!result->exit.ok()) {
    return absl::InternalError(
        absl::StrCat("initdb ", result->exit.ToString(), ": ", result->output));
  }
  fs::rename(fresh, data_directory_, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(data_directory_,
                     " is in the way and is no PostgreSQL cluster: move it, or choose another "
                     "directory"));
  }
  return absl::OkStatus();
}

absl::Status PostgresCluster::Start() {
  if (running()) return absl::FailedPreconditionError("PostgreSQL runs already");
  if (auto s = RemoveStaleLock(); !s.ok()) return s;
  ProcessOptions postgres;
  postgres.argv = {bin_directory_ + "/postgres", "-D", data_directory_};
  std::vector<std::string> settings = {
      "listen_addresses=",
      "unix_socket_directories=" + socket_directory_,
      "unix_socket_permissions=0700",
      "port=5432",
      "logging_collector=off",
      "log_destination=stderr",
      "log_line_prefix=%m [%p] ",
      absl::StrCat("fsync=", options_.fsync ? "on" : "off"),
  };
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  for (const std::string& setting : settings) {
    postgres.argv.push_back("-c");
    postgres.argv.push_back(setting);
  }
  // Errors are looked for in English.
  postgres.env = {{"LC_ALL", "C"}};
  postgres.directory = directory_;
  postgres.user = account_;
  postgres.out = Output::File(log_path_);
  postgres.err = Output::Stdout();
  // Its first process ends the others, and all end if that is killed.
  postgres.parent_death_signal = SIGINT;
  auto server = ChildProcess::Start(postgres);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return AwaitReady();
}

// A lock file names its server's pid. After a kill -9, in a container above all,
// another process may have got that pid, and PostgreSQL would not start.
absl::Status PostgresCluster::RemoveStaleLock() {
  const std::string path = data_directory_ + "/postmaster.pid";
  const std::vector<std::string> lines = absl::StrSplit(ReadFile(path), '\n');
  pid_t pid = 0;
  if (!absl::SimpleAtoi(lines[0], &pid)) return absl::OkStatus();
  const std::string command = ReadFile(absl::StrCat("/proc/", pid, "/comm"));
  if (absl::StartsWith(command, "postgres")) {
    return absl::FailedPreconditionError(
        absl::StrCat("a PostgreSQL server, process ", pid, ", uses ", data_directory_,
                     " already: stop that one, or choose another directory"));
  }
  std::error_code error;
  fs::remove(path, error);
  return absl::OkStatus();
}

// PostgreSQL says that it is ready in the eighth line of its lock file.
absl::Status PostgresCluster::AwaitReady() {
  const SteadyTime deadline = SteadyDeadline(options_.timeout);
  const std::string pid = absl::StrCat(server_->pid());
  while (true) {
    const std::vector<std::string> lines =
        absl::StrSplit(ReadFile(data_directory_ + "/postmaster.pid"), '\n');
    if (lines.size() > 7 && lines[0] == pid && absl::StartsWith(lines[7], "ready")) {
      return absl::OkStatus();
    }
    if (const auto exit = server_->Wait(absl::Milliseconds(5))) return FailedStart(*exit);
    if (std::chrono::steady_clock::now() > deadline) {
      (void)Kill();
      return absl::DeadlineExceededError(
          absl::StrCat("PostgreSQL was not ready in time; see ", log_path_));
    }
  }
}

absl::Status PostgresCluster::FailedStart(const ExitStatus& exit) const {
  std::string why;
  for (const auto line : absl::StrSplit(ReadFile(log_path_), '\n')) {
    if (const size_t at = line.find("FATAL:"); at != absl::string_view::npos) {
      why = absl::StrCat(": ", absl::StripAsciiWhitespace(line.substr(at + 6)));
    }
  }
  return absl::InternalError(
      absl::StrCat("PostgreSQL ", exit.ToString(), why, "; see ", log_path_));
}

absl::Status PostgresCluster::Stop() {
  if (!running()) return absl::OkStatus();
  server_->Signal(SIGINT);
  if (server_->Wait(options_.timeout)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("PostgreSQL did not stop in time; see ", log_path_));
}

absl::Status PostgresCluster::Kill() {
  if (!running()) return absl::OkStatus();
  // Stopped, it cannot start another process while they are counted.
  server_->Signal(SIGSTOP);
  std::vector<ProcessHandle> children = ProcessHandle::ChildrenOf(server_->pid());
  server_->Kill();
  for (ProcessHandle& child : children) child.Kill();
  for (ProcessHandle& child : children) {
    if (!child.AwaitExit(options_.timeout)) {
      return absl::DeadlineExceededError("a process of PostgreSQL does not end");
    }
  }
  return absl::OkStatus();
}

bool PostgresCluster::running() const {
  return server_ != nullptr && !server_->Wait(absl::ZeroDuration());
}

std::string PostgresCluster::ConnectionString(const std::string& database) const {
  return absl::StrCat("host=", Quote(socket_directory_),
                      " port=5432 user=postgres dbname=", Quote(database));
}

absl::StatusOr<std::string> PostgresCluster::Query(const std::string& database,
                                                   const std::string& sql) const {
  ProcessOptions psql;
  psql.argv = {bin_directory_ + "/psql",
               "--no-psqlrc",
               "--quiet",
               "--tuples-only",
               "--no-align",
               "--set=ON_ERROR_STOP=1",
               "--dbname",
               ConnectionString(database),
               "--command",
               sql};
  auto result = RunCommand(psql, options_.timeout);
  if (!result.ok()) return result.status();
  std::string output(absl::StripAsciiWhitespace(result->output));
  if (!result->exit.ok()) return absl::InternalError(output);
  return output;
}

absl::Status PostgresCluster::CreateDatabase(const std::string& name) {
  const std::string literal = absl::StrReplaceAll(name, {{"'", "''"}});
  auto known =
      Query("postgres", absl::StrCat("SELECT 1 FROM pg_database WHERE datname = '", literal, "'"));
  if (!known.ok()) return known.status();
  if (!known->empty()) return absl::AlreadyExistsError(absl::StrCat("there is a database ", name));
  const std::string identifier = absl::StrReplaceAll(name, {{"\"", "\"\""}});
  return Query("postgres", absl::StrCat("CREATE DATABASE \"", identifier, "\"")).status();
}

}  // namespace lowmark
