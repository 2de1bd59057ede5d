#include "store/postgres/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pqxx/pqxx>
#include <utility>

#include "store/postgres/connection_pool.h"
#include "store/postgres/queries.h"

namespace lowmark {
namespace {

constexpr absl::Duration kReconnect = absl::Milliseconds(500);

class Receiver : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection_base& connection,
           const std::function<void(const std::string&)>& on_free)
      : pqxx::notification_receiver(connection, sql::kFreeChannel), on_free_(on_free) {}

  void operator()(const std::string& stream, int /*backend*/) override { on_free_(stream); }

 private:
  const std::function<void(const std::string&)>& on_free_;
};

// Whether the server's session is this connection's own. A pooler says OK to LISTEN, and
// passes nothing on: hints may come, but are not to be relied on.
bool IsDirect(pqxx::connection_base& connection) {
  pqxx::nontransaction transaction(connection);
  return transaction.exec1("SELECT pg_backend_pid()")[0].as<int>() == connection.backendpid();
}

}  // namespace

Listener::Listener(const PostgresOptions& options,
                   std::function<void(const std::string& stream)> on_free)
    : options_(options),
      on_free_(std::move(on_free)),
      stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { Run(); }) {}

Listener::~Listener() {
  (void)eventfd_write(stop_fd_, 1);
  thread_.join();
  close(stop_fd_);
}

void Listener::Run() {
  do {
    // Calls report a database that is out of reach; hints need not.
    (void)CatchPostgres([this] {
      Listen();
      return absl::OkStatus();
    });
    listening_ = false;
  } while (Wait(-1, kReconnect));
}

void Listener::Listen() {
  bool refused = false;
  auto connection = Connection::Open(options_, ConnectionKind::kListening, &refused);
  if (!connection.ok()) return;
  const Receiver receiver((*connection)->get(), on_free_);
  listening_ = IsDirect((*connection)->get());
  on_free_("");
  while (Wait((*connection)->get().sock(), absl::InfiniteDuration())) {
    (*connection)->get().get_notifs();
  }
}

bool Listener::Wait(int fd, absl::Duration timeout) const {
  pollfd fds[] = {{stop_fd_, POLLIN, 0}, {fd, POLLIN, 0}};
  const bool endless = timeout == absl::InfiniteDuration();
  const int ms = endless ? -1 : static_cast<int>(absl::ToInt64Milliseconds(timeout));
  (void)poll(fds, 2, ms);  // poll skips a negative fd
  return (fds[0].revents & POLLIN) == 0;
}

}  // namespace lowmark
