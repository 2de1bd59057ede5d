#include "worker/handler/lambda/http_listener.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"
#include "worker/handler/lambda/listen_socket.h"

namespace lowmark {
namespace {

constexpr char kErrorType[] = "Lambda-Runtime-Function-Error-Type";

// A connection; libmicrohttpd says when it has ended, before its descriptor is closed.
struct Connection {
  Mutex mutex;
  int fd LOWMARK_GUARDED_BY(mutex) = -1;  // -1 once it has ended

  // A connection whose answer is waited for is not read, so that only a look at it
  // tells whether the other side has closed it.
  bool Gone() {
    MutexLock lock(mutex);
    if (fd < 0) return true;
    char byte = 0;
    const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }
};
using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace

// What requests and the listener share; it outlives the listener.
struct HttpListener::Requests {
  Mutex mutex;
  bool stopping LOWMARK_GUARDED_BY(mutex) = false;
  std::set<Request*> suspended LOWMARK_GUARDED_BY(mutex);
};

class HttpListener::Request : public HttpExchange {
 public:
  Request(const std::shared_ptr<Requests>& requests, MHD_Connection* connection, const char* method,
          const char* path)
      : requests_(requests), mhd_(connection) {
    method_ = method;
    path_ = path;
    const char* type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, kErrorType);
    if (type != nullptr) error_type_ = type;
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    connection_ = *static_cast<ConnectionPtr*>(info->socket_context);
  }

  void Answer(HttpAnswer answer) override {
    MutexLock lock(requests_->mutex);
    answer_ = std::move(answer);
    answered_ = true;
    if (requests_->suspended.erase(this) > 0) MHD_resume_connection(mhd_);
  }
  bool Gone() const override { return connection_->Gone(); }

  void Read(const char* data, size_t size, size_t limit) {
    too_large_ = too_large_ || body_.size() + size > limit;
    if (too_large_) {
      std::string().swap(body_);
    } else {
      body_.append(data, size);
    }
  }

  // Sends the answer, or lets the connection wait until there is one. On the
  // listener's thread.
  MHD_Result SendOrWait() {
    MutexLock lock(requests_->mutex);
    if (answered_) return Send();
    if (requests_->stopping) return MHD_NO;
    requests_->suspended.insert(this);
    MHD_suspend_connection(mhd_);
    return MHD_YES;
  }
  // Lets the connection end without an answer, with the requests' mutex held.
  void Drop() { MHD_resume_connection(mhd_); }

  bool passed_on = false;  // the listener's thread's

 private:
  MHD_Result Send() LOWMARK_REQUIRES(requests_->mutex) {
    MHD_Response* response = MHD_create_response_from_buffer(
        answer_.body.size(), answer_.body.data(), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    // A runtime may crash on an answer without it.
    MHD_add_response_header(response, "Content-Type", "application/json");
    for (const auto& [name, value] : answer_.headers) {
      MHD_add_response_header(response, name.c_str(), value.c_str());
    }
    const MHD_Result queued = MHD_queue_response(mhd_, answer_.status, response);
    MHD_destroy_response(response);
    return queued;
  }

  const std::shared_ptr<Requests> requests_;
  MHD_Connection* const mhd_;
  ConnectionPtr connection_;
  bool answered_ LOWMARK_GUARDED_BY(requests_->mutex) = false;
  HttpAnswer answer_ LOWMARK_GUARDED_BY(requests_->mutex);
};

// What libmicrohttpd calls, all on the listener's thread.
struct HttpListener::Callbacks {
  using RequestPtr = std::shared_ptr<Request>;

  static MHD_Result OnAccess(void* self, MHD_Connection* connection, const char* url,
                             const char* method, const char* /*version*/, const char* data,
                             size_t* size, void** context) {
    const auto& listener = *static_cast<HttpListener*>(self);
    if (*context == nullptr) {
      *context =
          new RequestPtr(std::make_shared<Request>(listener.requests_, connection, method, url));
      return MHD_YES;
    }
    const RequestPtr request = *static_cast<RequestPtr*>(*context);
    if (*size > 0) {
      request->Read(data, *size, listener.options_.max_body_bytes);
      *size = 0;
      return MHD_YES;
    }
    if (!std::exchange(request->passed_on, true)) listener.options_.on_request(request);
    return request->SendOrWait();
  }

  static void OnCompleted(void*, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
    delete static_cast<RequestPtr*>(*context);
    *context = nullptr;
  }

  static void OnConnection(void*, MHD_Connection* mhd, void** context,
                           MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      auto connection = std::make_shared<Connection>();
      const auto* info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
      MutexLock lock(connection->mutex);
      connection->fd = info->connect_fd;
      *context = new ConnectionPtr(connection);
      return;
    }
    auto* connection = static_cast<ConnectionPtr*>(*context);
    {
      MutexLock lock((*connection)->mutex);
      (*connection)->fd = -1;
    }
    delete connection;
  }
};

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Start(Options options) {
  auto listener = std::unique_ptr<HttpListener>(new HttpListener(std::move(options)));
  if (auto s = listener->Listen(); !s.ok()) return s;
  return listener;
}

HttpListener::HttpListener(Options options)
    : options_(std::move(options)), requests_(std::make_shared<Requests>()) {}

absl::Status HttpListener::Listen() {
  auto socket = ListenOn(options_.listen);
  if (!socket.ok()) return socket.status();
  address_ = socket->address;
  socket_path_ = socket->path;
  daemon_ = MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
      &Callbacks::OnAccess, this, MHD_OPTION_LISTEN_SOCKET, socket->fd, MHD_OPTION_CONNECTION_LIMIT,
      options_.max_connections, MHD_OPTION_NOTIFY_COMPLETED, &Callbacks::OnCompleted, nullptr,
      MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::OnConnection, nullptr, MHD_OPTION_END);
  if (daemon_ != nullptr) return absl::OkStatus();
  close(socket->fd);
  return absl::UnavailableError(absl::StrCat("cannot serve HTTP on ", address_));
}

HttpListener::~HttpListener() {
  if (daemon_ != nullptr) {
    {
      MutexLock lock(requests_->mutex);
      requests_->stopping = true;
      // libmicrohttpd must not be stopped while connections are suspended.
      for (Request* request : requests_->suspended) request->Drop();
      requests_->suspended.clear();
    }
    MHD_stop_daemon(daemon_);
  }
  if (!socket_path_.empty()) unlink(socket_path_.c_str());
}

}  // namespace lowmark
