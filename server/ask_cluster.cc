#include "server/ask_cluster.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/node/inbox.h"
#include "server/url.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

// A joining member asks the others for so long, and each for so long.
constexpr MonotonicNs kJoinTime = 60 * kNsPerSecond;
constexpr MonotonicNs kAcceptTime = 5 * kNsPerSecond;  // From the first answer on.
constexpr std::chrono::milliseconds kAskTimeout{2000};
constexpr std::chrono::milliseconds kPeekTimeout{250};
constexpr MonotonicNs kAskPause = 500 * kNsPerMs;

}  // namespace

absl::StatusOr<ClusterView> AskCluster(const Clock& clock, Logger& logger,
                                       const std::vector<std::string>& urls,
                                       const MemberPlace::Accept& accept) {
  MonotonicNs until = clock.Now() + kJoinTime;
  absl::Status last;
  bool answered = false;
  while (clock.Now() < until) {
    for (const std::string& text : urls) {
      GAVEL_ASSIGN_OR_RETURN(const Url url, ParseUrl(text));
      absl::StatusOr<ClusterView> view = AskForCluster(url.GrpcAddress(), kAskTimeout);
      if (!view.ok()) {
        if (!answered) last = view.status();
        continue;
      }
      last = accept(*view);
      if (last.ok()) return view;
      if (!std::exchange(answered, true)) until = clock.Now() + kAcceptTime;
    }
    logger.Warn("cannot join the cluster yet",
                {{"peer URLs", absl::StrJoin(urls, ",")}, {"reason", std::string(last.message())}});
    Inbox<int>(1).Wait(std::chrono::nanoseconds(kAskPause));  // Nobody wakes it.
  }
  if (answered) return last;
  return absl::UnavailableError(
      absl::StrCat("no member of the cluster answers at the peer URLs in --initial-cluster (",
                   last.message(), "): start them, or correct --initial-cluster"));
}

std::optional<ClusterView> PeekAtCluster(const std::vector<std::string>& urls) {
  for (const std::string& text : urls) {
    const absl::StatusOr<Url> url = ParseUrl(text);
    if (!url.ok()) continue;
    absl::StatusOr<ClusterView> view = AskForCluster(url->GrpcAddress(), kPeekTimeout);
    if (view.ok()) return *std::move(view);
  }
  return std::nullopt;
}

}  // namespace gavel::server
