#include "service/process/endpoint.h"

#include <CivetServer.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <chrono>
#include <future>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kMetrics[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

// Civetweb logs why it could not start, and returns only that it could not.
class Endpoint::StartLog {
 public:
  void Close() { open_ = false; }
  const std::string& text() const { return text_; }

  // Civetweb's callback. Later messages, from its own threads, are dropped: they
  // are about single requests of bad form.
  static int Log(const mg_connection* connection, const char* message) {
    const auto* server = static_cast<CivetServer*>(mg_get_user_data(mg_get_context(connection)));
    auto* log = server == nullptr ? nullptr : const_cast<StartLog*>(Of(*server));
    if (log != nullptr && log->open_)
      absl::StrAppend(&log->text_, log->text_.empty() ? "" : "; ", message);
    return 1;
  }

 private:
  static const StartLog* Of(const CivetServer& server) {
    return static_cast<const StartLog*>(server.getUserContext());
  }

  std::atomic<bool> open_ = true;
  std::string text_;
};

class Endpoint::Handler : public CivetHandler {
 public:
  explicit Handler(EndpointOptions options) : options_(std::move(options)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    return Answer(connection, true);
  }
  bool handleHead(CivetServer*, mg_connection* connection) override {
    return Answer(connection, false);
  }
  bool handlePost(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handlePut(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handleDelete(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handleOptions(CivetServer*, mg_connection* connection) override {
    return Refuse(connection);
  }
  bool handlePatch(CivetServer*, mg_connection* connection) override { return Refuse(connection); }

 private:
  bool Answer(mg_connection* connection, bool with_body) {
    const std::string path = mg_get_request_info(connection)->local_uri;
    if (path == "/metrics") return Send(connection, "200 OK", kMetrics, Metrics(), with_body);
    if (path == "/livez") return Send(connection, "200 OK", kText, "ok\n", with_body);
    if (path == "/readyz") {
      const absl::Status ready = options_.ready();
      if (ready.ok()) return Send(connection, "200 OK", kText, "ready\n", with_body);
      return Send(connection, "503 Service Unavailable", kText,
                  absl::StrCat("not ready: ", ready.message(), "\n"), with_body);
    }
    return Send(connection, "404 Not Found", kText,
                "not found: there is /metrics, /livez and /readyz\n", with_body);
  }

  bool Refuse(mg_connection* connection) {
    return Send(connection, "405 Method Not Allowed\r\nAllow: GET, HEAD", kText,
                "only GET and HEAD are allowed\n", true);
  }

  std::string Metrics() const {
    std::vector<prometheus::MetricFamily> families;
    for (const auto& collectable : options_.metrics) {
      std::vector<prometheus::MetricFamily> more = collectable->Collect();
      std::move(more.begin(), more.end(), std::back_inserter(families));
    }
    return prometheus::TextSerializer().Serialize(families);
  }

  static bool Send(mg_connection* connection, const std::string& status, const std::string& type,
                   const std::string& body, bool with_body) {
    const std::string head = absl::StrCat(
        "HTTP/1.1 ", status, "\r\nContent-Type: ", type, "\r\nContent-Length: ", body.size(),
        "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
        "Connection: close\r\n\r\n");
    mg_write(connection, head.data(), head.size());
    if (with_body) mg_write(connection, body.data(), body.size());
    return true;
  }

  const EndpointOptions options_;
};

Endpoint::Endpoint() = default;

// Civetweb looks up every two seconds whether it is to stop, or when a connection
// comes: so one comes.
Endpoint::~Endpoint() {
  if (server_ == nullptr || port_ == 0) return;
  const std::string host = absl::StrReplaceAll(host_, {{"[", ""}, {"]", ""}});
  std::future<void> stopped = std::async(std::launch::async, [this] { server_.reset(); });
  while (stopped.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
    mg_connection* connection = mg_connect_client(host.c_str(), port_, 0, nullptr, 0);
    if (connection != nullptr) mg_close_connection(connection);
  }
}

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Start(EndpointOptions options) {
  const std::string listen = options.listen;
  const size_t colon = listen.rfind(':');
  int port = 0;
  // Civetweb would read commas and letters in its own way.
  if (colon == std::string::npos || colon == 0 || listen.find_first_of(", ") != listen.npos ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return InvalidField("http-listen", listen, "must be HOST:PORT, such as 127.0.0.1:7071");
  }
  CivetCallbacks callbacks;
  callbacks.log_message = StartLog::Log;
  auto endpoint = std::unique_ptr<Endpoint>(new Endpoint);
  endpoint->start_log_ = std::make_unique<StartLog>();
  endpoint->handler_ = std::make_unique<Handler>(std::move(options));
  try {
    endpoint->server_ = std::make_unique<CivetServer>(
        std::vector<std::string>{"listening_ports", listen, "num_threads", "3",
                                 "request_timeout_ms", "10000"},
        &callbacks, endpoint->start_log_.get());
    endpoint->start_log_->Close();
    endpoint->server_->addHandler("/", *endpoint->handler_);
  } catch (const CivetException& e) {
    const std::string& log = endpoint->start_log_->text();
    return absl::UnavailableError(
        absl::StrCat("cannot serve HTTP on ", listen, ": ", log.empty() ? e.what() : log));
  }
  const std::vector<int> ports = endpoint->server_->getListeningPorts();
  if (ports.empty()) return absl::InternalError(absl::StrCat("no HTTP port for ", listen));
  endpoint->port_ = ports.front();
  endpoint->host_ = listen.substr(0, colon);
  endpoint->address_ = absl::StrCat(endpoint->host_, ":", endpoint->port_);
  return endpoint;
}

}  // namespace lowmark
