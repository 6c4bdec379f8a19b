// The flags that are served: what each sets, and what --help says of it.
#include "server/options_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "server/options_values.h"

namespace gavel::server {
namespace {

using Setter = std::function<absl::Status(std::string_view, ValueSource, OptionsDraft&)>;

constexpr int64_t kBytesMax = int64_t{1} << 50;

Setter Text(std::string ServerOptions::* member) {
  return [member](std::string_view text, ValueSource, OptionsDraft& draft) {
    draft.options.*member = std::string(text);
    return absl::OkStatus();
  };
}

Setter Urls(std::vector<Url> ServerOptions::* member) {
  return [member](std::string_view text, ValueSource, OptionsDraft& draft) {
    absl::StatusOr<std::vector<Url>> urls = ParseUrls(text);
    if (urls.ok()) draft.options.*member = *std::move(urls);
    return urls.status();
  };
}

template <class Number>
Setter Count(Number ServerOptions::* member, int64_t lowest, int64_t highest) {
  return [=](std::string_view text, ValueSource, OptionsDraft& draft) {
    const absl::StatusOr<int64_t> number = ParseInteger(text, lowest, highest);
    if (number.ok()) draft.options.*member = static_cast<Number>(*number);
    return number.status();
  };
}

template <class Number>
Setter Count(Number Http2Limits::* member, int64_t lowest, int64_t highest) {
  return [=](std::string_view text, ValueSource, OptionsDraft& draft) {
    const absl::StatusOr<int64_t> number = ParseInteger(text, lowest, highest);
    if (number.ok()) draft.options.client_limits.*member = static_cast<Number>(*number);
    return number.status();
  };
}

bool IsWholeNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

absl::StatusOr<MonotonicNs> ReadDuration(std::string_view text, ValueSource source) {
  if (source != ValueSource::kFile || !IsWholeNumber(text)) return ParseGoDuration(text);
  return ParseInteger(text, 0, std::numeric_limits<int64_t>::max());
}

Setter Duration(MonotonicNs ServerOptions::* member) {
  return [member](std::string_view text, ValueSource source, OptionsDraft& draft) {
    const absl::StatusOr<MonotonicNs> duration = ReadDuration(text, source);
    if (duration.ok()) draft.options.*member = *duration;
    return duration.status();
  };
}

// Of what clients may take time for; not 0, which would leave them none.
Setter Duration(MonotonicNs Http2Limits::* member) {
  return [member](std::string_view text, ValueSource source, OptionsDraft& draft) {
    const absl::StatusOr<MonotonicNs> duration = ReadDuration(text, source);
    if (duration.ok() && *duration <= 0) return absl::InvalidArgumentError("must be above 0");
    if (duration.ok()) draft.options.client_limits.*member = *duration;
    return duration.status();
  };
}

// Milliseconds as etcd takes them, or a duration with its unit.
Setter Milliseconds(MonotonicNs ServerOptions::* member) {
  return [member](std::string_view text, ValueSource, OptionsDraft& draft) {
    absl::StatusOr<MonotonicNs> duration =
        IsWholeNumber(text) ? ParseInteger(text, 0, 1'000'000'000) : ParseGoDuration(text);
    if (duration.ok()) draft.options.*member = *duration * (IsWholeNumber(text) ? kNsPerMs : 1);
    return duration.status();
  };
}

absl::Status SetLogLevel(std::string_view text, ValueSource, OptionsDraft& draft) {
  LogLevel& level = draft.options.log.level;
  if (text == "debug") {
    level = LogLevel::kDebug;
  } else if (text == "info") {
    level = LogLevel::kInfo;
  } else if (text == "warn") {
    level = LogLevel::kWarn;
  } else if (text == "error" || text == "dpanic" || text == "panic" || text == "fatal") {
    level = LogLevel::kError;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown log level \"", std::string(text), "\" (debug, info, warn or error)"));
  }
  return absl::OkStatus();
}

absl::Status SetLogFormat(std::string_view text, ValueSource, OptionsDraft& draft) {
  if (text != "json" && text != "console") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown log format \"", std::string(text), "\" (json or console)"));
  }
  draft.options.log.json = text == "json";
  return absl::OkStatus();
}

absl::Status SetLogOutputs(std::string_view text, ValueSource, OptionsDraft& draft) {
  std::vector<std::string> outputs;
  for (absl::string_view part : absl::StrSplit(std::string(text), ',', absl::SkipWhitespace())) {
    std::string output(absl::StripAsciiWhitespace(part));
    // The journal reads what a service writes to its standard error.
    if (output == "default" || output == "systemd/journal") output = "stderr";
    if (std::find(outputs.begin(), outputs.end(), output) == outputs.end()) {
      outputs.push_back(std::move(output));
    }
  }
  if (outputs.empty()) return absl::InvalidArgumentError("needs at least one output");
  draft.options.log.outputs = std::move(outputs);
  return absl::OkStatus();
}

absl::Status SetMetrics(std::string_view text, ValueSource, OptionsDraft& draft) {
  if (text != "basic" && text != "extensive") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown kind \"", std::string(text), "\" (basic or extensive)"));
  }
  draft.options.extensive_metrics = text == "extensive";
  return absl::OkStatus();
}

absl::Status SetInitialCluster(std::string_view text, ValueSource, OptionsDraft& draft) {
  draft.initial_cluster = std::string(text);
  return absl::OkStatus();
}

absl::Status SetClusterState(std::string_view text, ValueSource, OptionsDraft& draft) {
  draft.options.initial_cluster_existing = text == "existing";
  if (text == "new" || text == "existing") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unknown state \"", std::string(text), "\" (new, existing)"));
}

absl::Status SetQuota(std::string_view text, ValueSource, OptionsDraft& draft) {
  const absl::StatusOr<int64_t> bytes = ParseInteger(text, -kBytesMax, kBytesMax);
  if (bytes.ok()) draft.quota_bytes = *bytes;
  return bytes.status();
}

absl::Status SetCompactionMode(std::string_view text, ValueSource, OptionsDraft& draft) {
  if (text != "periodic" && text != "revision") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown mode \"", std::string(text), "\" (periodic or revision)"));
  }
  draft.auto_compaction_mode = std::string(text);
  return absl::OkStatus();
}

absl::Status SetCompactionRetention(std::string_view text, ValueSource, OptionsDraft& draft) {
  draft.auto_compaction_retention = std::string(text);
  return absl::OkStatus();
}

Flag Served(std::string group, std::string name, std::string default_text, std::string help,
            Setter set) {
  return Flag{.name = std::move(name),
              .kind = FlagKind::kValue,
              .set = std::move(set),
              .group = std::move(group),
              .default_text = std::move(default_text),
              .help = std::move(help)};
}

Flag ServedSwitch(std::string group, std::string name, bool ServerOptions::* member,
                  std::string help) {
  const char* const by_default = ServerOptions().*member ? "true" : "false";
  Flag flag = Served(std::move(group), std::move(name), by_default, std::move(help),
                     [member](std::string_view text, ValueSource, OptionsDraft& draft) {
                       const absl::StatusOr<bool> value = ParseGoBool(text);
                       if (value.ok()) draft.options.*member = *value;
                       return value.status();
                     });
  flag.kind = FlagKind::kSwitch;
  return flag;
}

void AddMemberFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Member";
  flags.push_back(Served(group, "name", "default", "Name of this member.", Text(&O::name)));
  flags.push_back(Served(group, "data-dir", "${name}.etcd", "Folder of this member's data.",
                         Text(&O::data_dir)));
  flags.push_back(Served(group, "wal-dir", "", "Folder of the log, if not inside the data folder.",
                         Text(&O::wal_dir)));
  flags.push_back(Served(group, "listen-peer-urls", "http://localhost:2380",
                         "URLs to listen on for other members.", Urls(&O::listen_peer_urls)));
  flags.push_back(Served(group, "listen-client-urls", "http://localhost:2379",
                         "URLs to listen on for clients.", Urls(&O::listen_client_urls)));
  flags.push_back(Served(group, "listen-metrics-urls", "",
                         "URLs to answer /metrics, /health and /version on.",
                         Urls(&O::listen_metrics_urls)));
  flags.push_back(Served(group, "heartbeat-interval", "100",
                         "Milliseconds between two heartbeats of the leader.",
                         Milliseconds(&O::heartbeat_interval)));
  flags.push_back(Served(group, "election-timeout", "1000",
                         "Milliseconds without a leader before an election; the same on all.",
                         Milliseconds(&O::election_timeout)));
  flags.push_back(
      Served(group, "snapshot-count", "100000",
             "Entries applied before the state is made durable and the log is cut; 0: default.",
             Count(&O::snapshot_count, 0, 1'000'000'000)));
  flags.push_back(Served(group, "snapshot-catchup-entries", "5000",
                         "Entries of the log kept for slow followers.",
                         Count(&O::snapshot_catchup_entries, 0, 1'000'000'000)));
  flags.push_back(Served(group, "snapshot-lag-entries", "100000",
                         "A member that lags by more entries is brought up by a snapshot.",
                         Count(&O::snapshot_lag_entries, 0, 1'000'000'000)));
  flags.push_back(Served(group, "snapshot-lag-bytes", "536870912", "The same for bytes of the log.",
                         Count(&O::snapshot_lag_bytes, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "snapshot-send-rate", "67108864",
                         "Bytes of a snapshot sent to a member in a second; 0: no limit.",
                         Count(&O::snapshot_send_rate, 0, kBytesMax)));
}

void AddClusterFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Cluster";
  flags.push_back(Served(group, "initial-advertise-peer-urls", "http://localhost:2380",
                         "This member's peer URLs as the others reach them.",
                         Urls(&O::initial_advertise_peer_urls)));
  flags.push_back(Served(group, "advertise-client-urls", "http://localhost:2379",
                         "This member's client URLs as clients reach them.",
                         Urls(&O::advertise_client_urls)));
  flags.push_back(Served(group, "initial-cluster", "${name}=${initial-advertise-peer-urls}",
                         "All first members: name=peer URL, comma-separated.", SetInitialCluster));
  flags.push_back(Served(group, "initial-cluster-state", "new",
                         "\"new\": the members found a cluster; \"existing\": this one joins them.",
                         SetClusterState));
  flags.push_back(Served(group, "max-learners", "1",
                         "Learners at once, as this member counts them.",
                         Count(&O::max_learners, 0, 1000)));
  flags.push_back(ServedSwitch(group, "strict-reconfig-check", &O::strict_reconfig_check,
                               "Refuse changes of members that could cost the quorum."));
  flags.push_back(ServedSwitch(
      group, "force-new-cluster", &O::force_new_cluster,
      "The quorum is lost for ever: make this member a cluster of its own, under a new id. What it "
      "had not received is lost. For one start."));
  flags.push_back(Served(group, "initial-cluster-token", "etcd-cluster",
                         "Tells clusters apart that have the same members.",
                         Text(&O::initial_cluster_token)));
}

void AddLimitFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Limits";
  flags.push_back(
      Served(group, "quota-backend-bytes", "0",
             "Quota of keys, history and leases; the leader's counts. 0: 2 GiB, below 0: none.",
             SetQuota));
  flags.push_back(Served(group, "disk-reserve-bytes", "67108864",
                         "With less free space on its disk a member raises NOSPACE; 0: never.",
                         Count(&O::disk_reserve_bytes, 0, std::numeric_limits<int64_t>::max())));
  flags.push_back(Served(group, "max-request-bytes", "1572864", "Largest request, up to 64 MiB.",
                         Count(&O::max_request_bytes, 1024, kRequestBytesMax)));
  flags.push_back(Served(group, "max-txn-ops", "128", "Most operations in a branch of a txn.",
                         Count(&O::max_txn_ops, 1, 1'000'000)));
  flags.push_back(Served(group, "max-concurrent-streams", "4294967295",
                         "Most calls at a time on one connection.",
                         Count(&O::max_concurrent_streams, 1, 4294967295)));
  flags.push_back(Served(group, "grpc-keepalive-min-time", "5s",
                         "Shortest time between two pings of a client.",
                         Duration(&O::keepalive_min_time)));
  flags.push_back(Served(group, "grpc-keepalive-interval", "2h",
                         "Time between two pings of the server; 0: none.",
                         Duration(&O::keepalive_interval)));
  flags.push_back(Served(group, "grpc-keepalive-timeout", "20s",
                         "Time that a ping may go unanswered; 0: no pings.",
                         Duration(&O::keepalive_timeout)));
  flags.push_back(Served(group, "watch-progress-notify-interval", "10m",
                         "Time between two progress messages to a watcher that wants them; 0: 10m.",
                         Duration(&O::watch_progress_notify_interval)));
}

void AddWatchFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Gavel's own (not in etcd)";
  flags.push_back(Served(group, "watchers-max", "0", "Most watchers on this member; 0: no limit.",
                         Count(&O::watchers_max, 0, 1'000'000'000)));
  flags.push_back(Served(group, "stream-watchers-max", "0",
                         "Most watchers on one stream; 0: no limit.",
                         Count(&O::stream_watchers_max, 0, 1'000'000'000)));
  flags.push_back(Served(group, "watcher-key-bytes-max", "268435456",
                         "Bytes of keys that all watchers together may name.",
                         Count(&O::watcher_key_bytes_max, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "watch-portion-bytes-max", "4194304",
                         "Bytes of events told to one stream at once, over its watchers.",
                         Count(&O::watch_portion_bytes_max, 1 << 12, kBytesMax)));
  flags.push_back(Served(group, "watch-catch-up-bytes", "524288",
                         "Bytes of history told to one stream at once.",
                         Count(&O::watch_catch_up_bytes, 1 << 12, kBytesMax)));
  flags.push_back(Served(group, "watch-catch-up-revisions", "1000",
                         "Revisions of history in one response.",
                         Count(&O::watch_catch_up_revisions, 1, 1'000'000)));
  flags.push_back(Served(group, "watch-catch-up-rows", "1024", "Rows of history read in one step.",
                         Count(&O::watch_catch_up_rows, 1, 1'000'000)));
  flags.push_back(Served(group, "watch-recent-bytes-max", "4194304",
                         "Memory for the newest changes, for watchers that are almost there.",
                         Count(&O::watch_recent_bytes_max, 0, kBytesMax)));
  flags.push_back(Served(group, "watch-undelivered-bytes-max", "33554432",
                         "Bytes of events on their way to one of the threads for connections "
                         "before watchers fall behind and catch up from history.",
                         Count(&O::watch_undelivered_bytes_max, 1 << 16, kBytesMax)));
  flags.push_back(Served(group, "stream-bytes-max", "1048576",
                         "Bytes queued on one stream before it has to wait for its client.",
                         Count(&O::stream_bytes_max, 1 << 12, kBytesMax)));
  flags.push_back(
      Served(group, "streams-bytes-max", "268435456",
             "Bytes queued on all streams before each may have only a sixteenth of "
             "--stream-bytes-max; so they can pass it by so much for each stream, and by "
             "the message that each writes when it is reached.",
             Count(&O::streams_bytes_max, 1 << 20, kBytesMax)));
}

void AddStateFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Compaction and checks";
  flags.push_back(Served(group, "auto-compaction-mode", "periodic",
                         "periodic: keep the history of a time; revision: of so many revisions.",
                         SetCompactionMode));
  flags.push_back(Served(group, "auto-compaction-retention", "0",
                         "What is kept: a time (a bare number is hours), or a number of revisions; "
                         "0: nothing is compacted by itself.",
                         SetCompactionRetention));
  flags.push_back(Served(group, "corrupt-check-time", "1m",
                         "Time between two comparisons of the members' states; 0: none.",
                         Duration(&O::corrupt_check_time)));
}

// What clients may make this member hold or do; see server/http2.
void AddClientFlags(std::vector<Flag>& flags) {
  using L = Http2Limits;
  const std::string group = "Limits of clients (not in etcd)";
  flags.push_back(Served(group, "connections-max", "20000",
                         "Most connections of clients; fewer if the limit of open files is low.",
                         Count(&L::connections_max, 1, 10'000'000)));
  flags.push_back(Served(group, "handshake-timeout", "10s", "Time for a new connection to greet.",
                         Duration(&L::handshake_timeout)));
  flags.push_back(Served(group, "write-stall-timeout", "5m",
                         "Time that a client may take nothing of what waits for it; shorter if "
                         "pings would find it dead.",
                         Duration(&L::write_stall_timeout)));
  flags.push_back(Served(group, "answer-timeout", "1m",
                         "Time for a large answer to be taken, apart from what its size is worth.",
                         Duration(&L::answer_timeout)));
  flags.push_back(Served(group, "answer-bytes-per-second", "16384",
                         "Slowest that a large answer may be taken.",
                         Count(&L::answer_bytes_per_second, 1024, 1 << 30)));
  flags.push_back(Served(group, "header-bytes-max", "65536", "Headers of a call.",
                         Count(&L::header_list_bytes_max, 4096, 1 << 24)));
  flags.push_back(Served(group, "continuations-max", "8",
                         "Frames that the headers of a call may go on in.",
                         Count(&L::continuations_max, 1, 1024)));
  flags.push_back(Served(group, "held-bytes-max", "536870912",
                         "Bytes of calls, headers and unfinished messages, over all clients.",
                         Count(&L::held_bytes_max, 1 << 20, kBytesMax)));
  flags.push_back(
      Served(group, "held-bytes-little", "65536",
             "A connection that holds no more is served when others hold half of --held-bytes-max.",
             Count(&L::held_bytes_little, 1024, kBytesMax)));
  flags.push_back(Served(group, "resets-burst", "1000",
                         "Calls that a client may cancel at once, within a second of their begin.",
                         Count(&L::resets_burst, 1, 1000000000)));
  flags.push_back(Served(group, "resets-per-second", "200", "The same, in the long run.",
                         Count(&L::resets_per_second, 1, 1000000000)));
  flags.push_back(Served(group, "idle-frames-burst", "10000",
                         "Frames that ask for nothing which a client may send at once.",
                         Count(&L::idle_frames_burst, 1, 1000000000)));
  flags.push_back(Served(group, "idle-frames-per-second", "1000", "The same, in the long run.",
                         Count(&L::idle_frames_per_second, 1, 1000000000)));
  flags.push_back(Served(group, "stream-window-bytes", "262144",
                         "Bytes that a client may send ahead on a call.",
                         Count(&L::stream_window_bytes, 65535, INT32_MAX)));
  flags.push_back(Served(group, "connection-window-bytes", "4194304",
                         "Bytes that a client may send ahead on a connection.",
                         Count(&L::connection_window_bytes, 65535, INT32_MAX)));
  flags.push_back(Served(group, "metrics-connections-max", "256",
                         "Most connections to --listen-metrics-urls.",
                         Count(&ServerOptions::metrics_connections_max, 4, 100'000)));
}

void AddLogFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Log and metrics";
  flags.push_back(Served(group, "log-level", "info", "debug, info, warn or error.", SetLogLevel));
  flags.push_back(
      Served(group, "log-format", "json", "json, or console for people.", SetLogFormat));
  flags.push_back(Served(group, "log-outputs", "default",
                         "stderr, stdout or names of files, comma-separated.", SetLogOutputs));
  flags.push_back(Served(group, "metrics", "basic",
                         "basic, or extensive for histograms of each call.", SetMetrics));
  flags.push_back(Served(group, "warning-apply-duration", "100ms", "Longer applies are logged.",
                         Duration(&O::warning_apply_duration)));
  flags.push_back(Served(group, "warning-unary-request-duration", "300ms",
                         "Longer requests are logged.",
                         Duration(&O::warning_unary_request_duration)));
}

void AddGavelFlags(std::vector<Flag>& flags) {
  using O = ServerOptions;
  const std::string group = "Gavel's own (not in etcd)";
  flags.push_back(Served(group, "leader-priority", "0",
                         "A leader gives way to a member with a higher number that has been ready "
                         "for a while.",
                         Count(&O::leader_priority, 0, 1'000'000)));
  flags.push_back(Served(group, "leader-priority-wait", "0",
                         "How long it must have been ready; 0: 10 election timeouts.",
                         Duration(&O::leader_priority_wait)));
  flags.push_back(Served(group, "semantics-max", "0",
                         "Highest semantics version to agree to (0: this build's): while one "
                         "member holds back, all can go back to an older build.",
                         Count(&O::semantics_max, 0, 1'000'000)));
  flags.push_back(Served(group, "block-cache-bytes", "67108864", "Memory for data read from disk.",
                         Count(&O::block_cache_bytes, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "key-cache-bytes", "33554432",
                         "Memory for the newest revisions of keys.",
                         Count(&O::key_cache_bytes, 0, kBytesMax)));
  flags.push_back(Served(group, "write-buffer-bytes", "33554432",
                         "Memory for data on its way to disk.",
                         Count(&O::write_buffer_bytes, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "apply-backlog-entries-max", "5000",
                         "Committed entries not applied before requests are refused.",
                         Count(&O::apply_backlog_entries_max, 1, 100'000'000)));
  flags.push_back(Served(group, "pending-bytes-max", "268435456",
                         "Bytes of writes under way before more are refused.",
                         Count(&O::pending_bytes_max, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "read-bytes-max", "268435456",
                         "Bytes of answers under way, over all reads.",
                         Count(&O::read_bytes_max, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "write-answer-bytes-max", "268435456",
                         "Bytes that writes applied together may return; a write beyond them is "
                         "carried out, but answered with an error.",
                         Count(&O::write_answer_bytes_max, 1 << 20, kBytesMax)));
  flags.push_back(Served(group, "background-jobs-max", "10000",
                         "Long reads under way before more are refused.",
                         Count(&O::background_jobs_max, 1, 10'000'000)));
  flags.push_back(Served(group, "snapshot-age-max", "1h",
                         "Longest time a client may take over a snapshot.",
                         Duration(&O::snapshot_age_max)));
  flags.push_back(Served(group, "request-timeout", "0",
                         "Longest time for a request; 0: 5 s + 2 election timeouts.",
                         Duration(&O::request_timeout)));
  flags.push_back(Served(group, "io-threads", "0",
                         "Threads for connections; 0: half the processors.",
                         Count(&O::io_threads, 0, 1024)));
  flags.push_back(Served(group, "background-threads", "1", "Threads for collection and long reads.",
                         Count(&O::background_threads, 1, 1024)));
}

std::vector<Flag> MakeFlags() {
  std::vector<Flag> flags;
  AddMemberFlags(flags);
  AddClusterFlags(flags);
  AddLimitFlags(flags);
  AddStateFlags(flags);
  AddLogFlags(flags);
  AddGavelFlags(flags);
  AddWatchFlags(flags);
  AddClientFlags(flags);
  for (Flag& flag : FlagsWithoutEffect()) flags.push_back(std::move(flag));
  for (Flag& flag : RefusedFlags()) flags.push_back(std::move(flag));
  return flags;
}

}  // namespace

const std::vector<Flag>& AllFlags() {
  static const std::vector<Flag> flags = MakeFlags();
  return flags;
}

}  // namespace gavel::server
