// What options must be to each other. The texts are close to etcd's, which operators know.
#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

#include "server/options_table.h"
#include "server/options_values.h"

namespace gavel::server {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr MonotonicNs kNsPerHour = 3600 * kNsPerSecond;
constexpr MonotonicNs kElectionTimeoutMax = 50 * kNsPerSecond;

std::vector<Url> DefaultUrls(const char* port) {
  return {Url{.scheme = "http", .host = "localhost", .port = port}};
}

void FillInUrls(const std::set<std::string_view>& given, ServerOptions& options) {
  if (!given.contains("listen-peer-urls")) options.listen_peer_urls = DefaultUrls("2380");
  if (!given.contains("listen-client-urls")) options.listen_client_urls = DefaultUrls("2379");
  if (!given.contains("initial-advertise-peer-urls")) {
    options.initial_advertise_peer_urls = DefaultUrls("2380");
  }
  if (!given.contains("advertise-client-urls")) {
    options.advertise_client_urls = DefaultUrls("2379");
  }
}

bool IsIpAddress(const std::string& host) {
  in6_addr address{};
  const std::string without_zone = host.substr(0, host.find('%'));
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, without_zone.c_str(), &address) == 1;
}

absl::Status CheckUrls(std::string_view flag, const std::vector<Url>& urls, bool listening) {
  for (const Url& url : urls) {
    const std::string where = absl::StrCat("--", std::string(flag), ": ", url.Text());
    if (url.encrypted()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, " is refused: this release does not encrypt connections; write ",
                       url.local_socket() ? "unix" : "http", "://"));
    }
    if (!listening || url.local_socket()) {
      if (!url.local_socket() && url.host.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(where, " names no host"));
      }
      continue;
    }
    if (url.host != "localhost" && !IsIpAddress(url.host)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--", std::string(flag), ": expected IP in URL for binding (", url.Text(), ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAllUrls(const ServerOptions& options) {
  const std::pair<const char*, const std::vector<Url>*> listening[] = {
      {"listen-peer-urls", &options.listen_peer_urls},
      {"listen-client-urls", &options.listen_client_urls},
      {"listen-metrics-urls", &options.listen_metrics_urls}};
  for (const auto& [flag, urls] : listening) {
    if (absl::Status status = CheckUrls(flag, *urls, true); !status.ok()) return status;
  }
  for (const Url& url : options.listen_metrics_urls) {
    if (url.local_socket()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--listen-metrics-urls: ", url.Text(), " is not an http URL"));
    }
  }
  if (absl::Status status =
          CheckUrls("initial-advertise-peer-urls", options.initial_advertise_peer_urls, false);
      !status.ok()) {
    return status;
  }
  return CheckUrls("advertise-client-urls", options.advertise_client_urls, false);
}

// Reads "a=http://h:1,b=http://h:2"; a name may come several times, each with one URL.
absl::StatusOr<std::vector<InitialMember>> ParseInitialCluster(const std::string& text) {
  std::map<std::string, std::string> urls_by_name;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(absl::StripAsciiWhitespace(part), absl::MaxSplits('=', 1));
    if (pair.first.empty() || pair.second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--initial-cluster: \"", part, "\" does not have the form name=URL"));
    }
    std::string& urls = urls_by_name[pair.first];
    absl::StrAppend(&urls, urls.empty() ? "" : ",", pair.second);
  }
  std::vector<InitialMember> members;
  std::map<std::string, std::string> owner_by_url;
  for (const auto& [name, urls_text] : urls_by_name) {
    absl::StatusOr<std::vector<Url>> urls = ParseUrls(urls_text);
    if (!urls.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--initial-cluster: ", urls.status().message()));
    }
    if (absl::Status status = CheckUrls("initial-cluster", *urls, false); !status.ok()) {
      return status;
    }
    for (const Url& url : *urls) {
      const auto [owner, first] = owner_by_url.emplace(url.Text(), name);
      if (!first) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--initial-cluster: ", url.Text(), " is given to ", owner->second, " and to ", name));
      }
    }
    members.push_back({name, *std::move(urls)});
  }
  return members;
}

// The URLs of `a` that are not in `b`, joined; empty if there are none.
std::string Missing(const std::vector<Url>& a, const std::vector<Url>& b) {
  std::vector<std::string> texts;
  for (const Url& url : a) {
    if (std::find(b.begin(), b.end(), url) == b.end()) texts.push_back(url.Text());
  }
  return absl::StrJoin(texts, ",");
}

absl::Status CheckCluster(OptionsDraft& draft) {
  ServerOptions& options = draft.options;
  options.initial_cluster_given =
      draft.given.contains("initial-cluster") && !draft.initial_cluster.empty();
  if (!options.initial_cluster_given) {
    std::vector<std::string> parts;
    for (const Url& url : options.initial_advertise_peer_urls) {
      parts.push_back(absl::StrCat(options.name, "=", url.Text()));
    }
    draft.initial_cluster = absl::StrJoin(parts, ",");
  }
  absl::StatusOr<std::vector<InitialMember>> members = ParseInitialCluster(draft.initial_cluster);
  if (!members.ok()) return members.status();
  const auto self = std::find_if(members->begin(), members->end(),
                                 [&](const InitialMember& m) { return m.name == options.name; });
  if (self == members->end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("couldn't find local name \"", options.name,
                     "\" in the initial cluster configuration (--name and --initial-cluster)"));
  }
  const std::vector<Url>& advertised = options.initial_advertise_peer_urls;
  if (const std::string urls = Missing(self->peer_urls, advertised); !urls.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--initial-cluster has ", options.name, "=", urls,
                     " but missing from --initial-advertise-peer-urls=",
                     absl::StrJoin(UrlTexts(advertised), ",")));
  }
  if (const std::string urls = Missing(advertised, self->peer_urls); !urls.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--initial-advertise-peer-urls has ", urls,
                     " but missing from --initial-cluster=", draft.initial_cluster));
  }
  options.initial_cluster = *std::move(members);
  return absl::OkStatus();
}

absl::Status CheckTimes(ServerOptions& options) {
  const int64_t heartbeat_ms = options.heartbeat_interval / kNsPerMs;
  const int64_t election_ms = options.election_timeout / kNsPerMs;
  if (heartbeat_ms <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--heartbeat-interval must be >0 (set to ", heartbeat_ms, "ms)"));
  }
  if (election_ms <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--election-timeout must be >0 (set to ", election_ms, "ms)"));
  }
  if (5 * heartbeat_ms > election_ms) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--election-timeout[", election_ms,
        "ms] should be at least as 5 times as --heartbeat-interval[", heartbeat_ms, "ms]"));
  }
  if (options.election_timeout > kElectionTimeoutMax) {
    return absl::InvalidArgumentError(absl::StrCat("--election-timeout[", election_ms,
                                                   "ms] is too long, and should be set less than ",
                                                   kElectionTimeoutMax / kNsPerMs, "ms"));
  }
  if (options.leader_priority_wait == 0) {
    options.leader_priority_wait = 10 * options.election_timeout;
  }
  if (options.leader_priority_wait < options.election_timeout) {
    return absl::InvalidArgumentError(
        absl::StrCat("--leader-priority-wait must be at least --election-timeout[", election_ms,
                     "ms], or leadership would follow each hitch"));
  }
  if (options.request_timeout == 0) {
    options.request_timeout = 5 * kNsPerSecond + 2 * options.election_timeout;
  }
  return absl::OkStatus();
}

// etcd's grammar: what the number means is the mode's.
absl::Status ResolveCompaction(OptionsDraft& draft) {
  const std::string& text = draft.auto_compaction_retention;
  const std::string flag = absl::StrCat("--auto-compaction-retention \"", text, "\"");
  constexpr int64_t kNumberMax = std::numeric_limits<int64_t>::max();
  if (draft.auto_compaction_mode == "revision") {
    const absl::StatusOr<int64_t> revisions = ParseInteger(text, 0, kNumberMax);
    if (!revisions.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          flag, ": not a number of revisions, which --auto-compaction-mode=revision wants"));
    }
    draft.options.auto_compaction_revisions = *revisions;
    return absl::OkStatus();
  }
  absl::StatusOr<MonotonicNs> period = ParseInteger(text, 0, kNumberMax / kNsPerHour);
  if (period.ok()) {
    *period *= kNsPerHour;
  } else {
    period = ParseGoDuration(text);
  }
  if (!period.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": neither a number of hours nor a time such as 30m"));
  }
  draft.options.auto_compaction_period = *period;
  return absl::OkStatus();
}

void ResolveQuota(OptionsDraft& draft) {
  if (draft.quota_bytes < 0) return;
  draft.options.quota_bytes =
      static_cast<uint64_t>(draft.quota_bytes == 0 ? 2 * kGiB : draft.quota_bytes);
}

// What bounds all requests together has room for the largest.
absl::Status CheckRequestBounds(const ServerOptions& options) {
  const uint64_t request = options.max_request_bytes;
  if (options.pending_bytes_max < request) {
    return absl::InvalidArgumentError(
        absl::StrCat("--pending-bytes-max ", options.pending_bytes_max,
                     " is below --max-request-bytes ", request, ": raise it, or lower the other"));
  }
  const auto held = static_cast<uint64_t>(options.client_limits.held_bytes_max);
  if (held / 2 < request + kMessageBytesSpare) {
    return absl::InvalidArgumentError(
        absl::StrCat("--held-bytes-max ", held, " is less than twice --max-request-bytes ", request,
                     " and ", kMessageBytesSpare,
                     ", the part of it that a single client may have: raise it, or lower "
                     "the other"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteOptions(OptionsDraft& draft) {
  ServerOptions& options = draft.options;
  if (options.name.empty()) return absl::InvalidArgumentError("--name must not be empty");
  if (options.name.find_first_of(",=") != std::string::npos) {
    return absl::InvalidArgumentError("--name must not hold a comma or an equals sign");
  }
  if (options.data_dir.empty()) options.data_dir = absl::StrCat(options.name, ".etcd");
  FillInUrls(draft.given, options);
  if (absl::Status status = CheckAllUrls(options); !status.ok()) return status;
  if (draft.given.contains("listen-client-urls") &&
      !draft.given.contains("advertise-client-urls")) {
    return absl::InvalidArgumentError(
        "--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
  if (absl::Status status = CheckCluster(draft); !status.ok()) return status;
  if (absl::Status status = CheckTimes(options); !status.ok()) return status;
  if (absl::Status status = ResolveCompaction(draft); !status.ok()) return status;
  if (absl::Status status = CheckRequestBounds(options); !status.ok()) return status;
  ResolveQuota(draft);
  if (options.snapshot_count == 0) {  // As etcd takes it.
    options.snapshot_count = ServerOptions().snapshot_count;
    draft.warnings.push_back(
        absl::StrCat("--snapshot-count 0 stands for the default, ", options.snapshot_count));
  }
  if (options.max_request_bytes > 10 << 20) {
    draft.warnings.push_back(absl::StrCat("--max-request-bytes ", options.max_request_bytes,
                                          " is above 10 MiB, the most that is advised"));
  }
  return absl::OkStatus();
}

}  // namespace gavel::server
