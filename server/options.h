// What a member is told at its start, by flags, ETCD_ variables or a file.
//
// The names, defaults and precedence are etcd's. Everything in a ServerOptions that ParseOptions
// returned is checked, for itself and against the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/client_limits.h"
#include "server/clock.h"
#include "server/logging.h"
#include "server/url.h"

namespace gavel::server {

// The most that --max-request-bytes may be: what is accepted is logged, and sent to the other
// members in one message, between two of which no heartbeat goes out.
constexpr uint64_t kRequestBytesMax = 64 << 20;
// What a request grows by on its way, at most, beside other entries of the same message.
constexpr uint64_t kRequestBytesSpare = 8 << 20;

// A client's message may be larger than its request by so much.
constexpr uint64_t kMessageBytesSpare = 512 << 10;

// One member of --initial-cluster.
struct InitialMember {
  std::string name;
  std::vector<Url> peer_urls;  // Sorted by text.
};

struct ServerOptions {
  // Member.
  std::string name = "default";
  std::string data_dir;  // Never empty once parsed.
  std::string wal_dir;   // Empty: inside data_dir.
  std::vector<Url> listen_peer_urls;
  std::vector<Url> listen_client_urls;
  std::vector<Url> listen_metrics_urls;  // Empty: none.

  // Cluster.
  std::vector<Url> initial_advertise_peer_urls;
  std::vector<Url> advertise_client_urls;
  std::vector<InitialMember> initial_cluster;  // Sorted by name; holds this member.
  bool initial_cluster_given = false;          // Else it is this member alone.
  bool initial_cluster_existing = false;       // It runs, and this member joins it.
  bool force_new_cluster = false;
  std::string initial_cluster_token = "etcd-cluster";

  // Raft.
  MonotonicNs heartbeat_interval = 100 * kNsPerMs;
  MonotonicNs election_timeout = 1000 * kNsPerMs;
  uint64_t snapshot_count = 100'000;
  uint64_t snapshot_catchup_entries = 5000;
  uint64_t snapshot_lag_entries = 100'000;
  uint64_t snapshot_lag_bytes = 512 << 20;
  uint64_t snapshot_send_rate = 64 << 20;

  // History that is compacted by itself; at most one of the two.
  MonotonicNs auto_compaction_period = 0;  // Kept; 0: not by time.
  int64_t auto_compaction_revisions = 0;   // Kept; 0: not by number.

  MonotonicNs corrupt_check_time = 60 * kNsPerSecond;  // Between two comparisons; 0: none.

  // Limits that etcd has.
  std::optional<uint64_t> quota_bytes;  // Nothing: no quota.
  uint64_t disk_reserve_bytes = 64 << 20;
  uint64_t max_request_bytes = 1572864;
  uint64_t max_txn_ops = 128;
  uint32_t max_learners = 1;
  bool strict_reconfig_check = true;
  uint32_t max_concurrent_streams = 4294967295;

  // Connections.
  MonotonicNs keepalive_min_time = 5 * kNsPerSecond;
  MonotonicNs keepalive_interval = 7200 * kNsPerSecond;
  MonotonicNs keepalive_timeout = 20 * kNsPerSecond;

  Http2Limits client_limits;               // But for its stream_bytes_max, which is below.
  uint32_t metrics_connections_max = 256;  // Of --listen-metrics-urls.

  // Watches.
  MonotonicNs watch_progress_notify_interval = 600 * kNsPerSecond;
  uint64_t watchers_max = 0;         // 0: no limit.
  uint64_t stream_watchers_max = 0;  // The same.
  uint64_t watcher_key_bytes_max = 256 << 20;
  uint64_t watch_portion_bytes_max = 4 << 20;
  uint64_t watch_catch_up_bytes = 512 << 10;
  uint32_t watch_catch_up_revisions = 1000;
  uint32_t watch_catch_up_rows = 1024;
  uint64_t watch_recent_bytes_max = 4 << 20;
  uint64_t watch_undelivered_bytes_max = 32 << 20;
  uint64_t stream_bytes_max = 1 << 20;     // Queued on one stream; beyond it, it has to wait.
  uint64_t streams_bytes_max = 256 << 20;  // On all; beyond it, each may have a sixteenth.

  // What is told.
  LogOptions log;
  bool extensive_metrics = false;
  MonotonicNs warning_apply_duration = 100 * kNsPerMs;
  MonotonicNs warning_unary_request_duration = 300 * kNsPerMs;

  // Gavel's own.
  uint32_t leader_priority = 0;
  MonotonicNs leader_priority_wait = 0;  // Never 0 once parsed: 10 election timeouts.
  uint32_t semantics_max = 0;            // 0: what this build knows.
  uint64_t block_cache_bytes = 64 << 20;
  uint64_t key_cache_bytes = 32 << 20;
  uint64_t write_buffer_bytes = 32 << 20;
  uint64_t apply_backlog_entries_max = 5000;
  uint64_t pending_bytes_max = 256 << 20;
  uint64_t read_bytes_max = 256 << 20;          // Of answers being built or sent, over all reads.
  uint64_t write_answer_bytes_max = 256 << 20;  // Of answers of writes applied together.
  uint64_t background_jobs_max = 10000;  // Long reads under way; beyond it, they are refused.
  // From the begin of a snapshot to its end.
  MonotonicNs snapshot_age_max = 3600 * kNsPerSecond;
  MonotonicNs request_timeout = 0;  // Never 0 once parsed: 5 s + 2 election timeouts.
  uint32_t io_threads = 0;          // Never 0 once parsed.
  uint32_t background_threads = 1;
};

struct ParsedOptions {
  ServerOptions options;
  // Lines for the log: flags that are taken but change nothing, and doubtful values.
  std::vector<std::string> warnings;
  // Text of --help or --version, to be printed in place of a start.
  std::optional<std::string> print;
};

using Environment = std::map<std::string, std::string>;

// The variables of a process, from main's third argument or `environ`.
Environment EnvironmentOf(const char* const* variables);

// Reads `arguments` (without the program's name). A flag wins over its variable; with
// --config-file both are ignored. Errors name the flag and what to do.
absl::StatusOr<ParsedOptions> ParseOptions(const std::vector<std::string>& arguments,
                                           const Environment& environment);

}  // namespace gavel::server
