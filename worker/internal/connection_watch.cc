#include "worker/internal/connection_watch.h"

#include <utility>

#include "service/security/tls_probe.h"

namespace lowmark {
namespace {

constexpr absl::Duration kProbeTime = absl::Seconds(2);

}  // namespace

ConnectionWatch::ConnectionWatch(WorkerContext& context, std::shared_ptr<ClientSecrets> secrets)
    : context_(context), secrets_(std::move(secrets)) {}

void ConnectionWatch::Refresh() {
  const SecretsNews news = secrets_->Refresh();
  for (const absl::Status& wrong : news.wrong) {
    context_.log.Error("a changed file is of no use; what was read before stays",
                       {{"stream", context_.options.stream}, {"error", wrong.message()}});
  }
  if (news.replaced.empty()) return;
  for (const std::string& what : news.replaced) {
    context_.log.Info("replaced while running, from its file",
                      {{"stream", context_.options.stream}, {"secret", what}});
  }
  said_.clear();
  context_.client.Reconnect();
}

void ConnectionWatch::OnFailure(const absl::Status& error, int failures) {
  const bool now = failures > 0 && (failures & (failures - 1)) == 0;
  if (!absl::IsUnavailable(error) || !now) return;
  context_.source_pool.Submit([this, here = std::weak_ptr<bool>(here_), loop = context_.loop,
                               secrets = secrets_, coordinator = context_.options.coordinator] {
    std::string why = ExplainConnection(coordinator, *secrets, kProbeTime);
    loop->Post([this, here, why = std::move(why)] {
      if (here.lock()) Say(why);
    });
  });
}

void ConnectionWatch::Say(const std::string& why) {
  if (why.empty() || why == said_) return;
  said_ = why;
  context_.log.Error("cannot connect to the coordinator, tried again",
                     {{"stream", context_.options.stream},
                      {"coordinator", context_.options.coordinator},
                      {"error", why}});
}

}  // namespace lowmark
