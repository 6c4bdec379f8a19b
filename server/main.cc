// gaveld: one member of a cluster.
//
// Options, then the member, then the ports; signals end it. Whatever prevents the start is one
// clear line on standard error and in the log, and exit code 1.

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"

#include "server/ask_cluster.h"
#include "server/clock.h"
#include "server/descriptors.h"
#include "server/http/health.h"
#include "server/http/http_server.h"
#include "server/http2/http2_front.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node/inbox.h"
#include "server/node/member.h"
#include "server/node/node.h"
#include "server/options.h"
#include "server/peer/grpc_transport.h"
#include "server/process_metrics.h"
#include "server/rpc/client_services.h"
#include "server/rpc/health_read.h"
#include "server/url.h"
#include "server/version.h"
#include "storage/disk/posix_disk.h"
#include "storage/engine/rocks_directory.h"
#include "storage/engine/rocks_engine.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

// Standard descriptors that whoever started us has closed would be given to the first files, and
// be read and written as such. Before the initializers of libraries, since gRPC's opens some; so
// nothing may be used that a sanitizer has not set up yet.
__attribute__((no_sanitize("address", "thread", "undefined"))) void OpenClosedDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (syscall(SYS_fcntl, fd, F_GETFD) >= 0) continue;
    // The lowest one that is free, which is this one. Nobody is left to tell if it fails.
    syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
  }
}

__attribute__((section(".preinit_array"),
               used)) void (*const kBeforeAll)() = &OpenClosedDescriptors;

// Of a member that was removed from its cluster: to start it again is of no use.
constexpr int kRemovedCode = 4;
// A removed member goes on for so long, to tell others what it knows and its clients what became of
// their requests.
constexpr MonotonicNs kRemovedTime = kNsPerSecond;

// Requests under way get so long at the stop.
constexpr MonotonicNs kGrace = 2 * kNsPerSecond;

// Everything between the process and its member. Parts go in reverse order.
struct Process {
  SystemClock clock;
  storage::PosixDisk disk;
  Metrics metrics;
  std::shared_ptr<void> process_metrics = AddProcessMetrics(metrics);
  ServerOptions options;
  DescriptorShares descriptors;
  std::function<void()> restart;  // Has the process start again. Any thread.
  std::function<void()> removed;  // Ends the process: the member was removed. Any thread.
  std::unique_ptr<Logger> logger;
  std::unique_ptr<GrpcPeerTransport> peer_port;  // Until the member takes it.
  std::unique_ptr<Member> member;
  std::unique_ptr<ClientServices> services;
  std::unique_ptr<Http2Front> client_front;
  std::unique_ptr<HttpServer> http;
};

AutoCompactionOptions AutoCompactionFrom(const ServerOptions& options) {
  using Mode = AutoCompactionOptions::Mode;
  AutoCompactionOptions compaction;
  compaction.retention = options.auto_compaction_period;
  compaction.revisions = options.auto_compaction_revisions;
  compaction.mode = compaction.retention > 0   ? Mode::kPeriodic
                    : compaction.revisions > 0 ? Mode::kRevision
                                               : Mode::kOff;
  return compaction;
}

absl::Status TakeDescriptors(Process& process) {
  const ServerOptions& options = process.options;
  DescriptorShares wanted;
  wanted.client_connections_max = options.client_limits.connections_max;
  wanted.metrics_connections_max = options.metrics_connections_max;
  wanted.engine_files_max = storage::RocksOptions().open_files_max;
  GAVEL_ASSIGN_OR_RETURN(process.descriptors, ShareDescriptors(process.descriptors.limit, wanted));
  const DescriptorShares& shares = process.descriptors;
  process.logger->Info("open files", {{"limit", shares.limit},
                                      {"connections of clients", shares.client_connections_max},
                                      {"kept for all else", shares.reserved()}});
  if (shares.client_connections_max < wanted.client_connections_max) {
    process.logger->Warn("the limit of open files allows fewer connections than --connections-max",
                         {{"connections of clients", shares.client_connections_max},
                          {"--connections-max", wanted.client_connections_max},
                          {"what to do", "raise ulimit -n, or LimitNOFILE= of systemd"}});
  }
  return absl::OkStatus();
}

// Nobody wakes it.
void Pause(MonotonicNs time) { Inbox<int>(1).Wait(std::chrono::nanoseconds(time)); }

NodeOptions NodeOptionsFrom(Process& process) {
  const ServerOptions& options = process.options;
  NodeOptions node;
  node.place = PlaceOf(options);
  node.place.ask_cluster = [&process](const std::vector<std::string>& urls,
                                      const MemberPlace::Accept& accept) {
    return AskCluster(process.clock, *process.logger, urls, accept);
  };
  node.place.peek_cluster = PeekAtCluster;
  node.auto_compaction = AutoCompactionFrom(options);
  node.digest_interval = options.corrupt_check_time;
  node.place.state.newest_cache_bytes_max = options.key_cache_bytes;
  node.client_urls = UrlTexts(options.advertise_client_urls);
  node.heartbeat_interval = options.heartbeat_interval;
  node.election_timeout = options.election_timeout;
  node.leader_priority = options.leader_priority;
  node.leader_priority_wait = options.leader_priority_wait;
  node.semantics_max = options.semantics_max;
  node.gate.request_timeout = options.request_timeout;
  node.gate.apply_backlog_entries_max = options.apply_backlog_entries_max;
  node.gate.pending_bytes_max = options.pending_bytes_max;
  node.apply.flush.entries_max = options.snapshot_count;
  node.apply_limits.response_bytes_max = static_cast<int64_t>(options.write_answer_bytes_max);
  node.apply.catchup_entries = options.snapshot_catchup_entries;
  node.apply.lag.entries_max = options.snapshot_lag_entries;
  node.apply.lag.bytes_max = options.snapshot_lag_bytes;
  node.snapshots.bytes_per_second = options.snapshot_send_rate;
  node.apply.warning_apply = options.warning_apply_duration;
  if (options.watch_progress_notify_interval > 0) {
    node.watch.progress_interval = options.watch_progress_notify_interval;
  }
  node.watch.watchers_max = options.watchers_max;
  node.watch.stream_watchers_max = options.stream_watchers_max;
  node.watch.watcher_key_bytes_max = options.watcher_key_bytes_max;
  node.watch.stream_portion_bytes_max = options.watch_portion_bytes_max;
  node.watch.catch_up_bytes = options.watch_catch_up_bytes;
  node.watch.catch_up_revisions = options.watch_catch_up_revisions;
  node.watch.catch_up_rows = options.watch_catch_up_rows;
  node.watch.recent_bytes_max = options.watch_recent_bytes_max;
  node.watch.undelivered_bytes_max = options.watch_undelivered_bytes_max;
  node.request_bytes_max = options.max_request_bytes;
  node.limits.quota_bytes = options.quota_bytes.value_or(0);
  node.limits.disk_reserve_bytes = options.disk_reserve_bytes;
  return node;
}

absl::StatusOr<std::shared_ptr<storage::Engine>> OpenStore(Process& process,
                                                           const std::string& path) {
  const ServerOptions& options = process.options;
  storage::RocksOptions rocks;
  rocks.path = path;
  rocks.cache_bytes = options.block_cache_bytes;
  rocks.write_buffer_bytes = options.write_buffer_bytes;
  rocks.open_files_max = process.descriptors.engine_files_max;
  rocks.on_warning = [&process](std::string_view warning) {
    process.logger->Warn("state engine", {{"message", warning}});
  };
  return storage::OpenRocksEngine(std::move(rocks));
}

Node::Surroundings SurroundingsOf(Process& process) {
  return Node::Surroundings{
      .disk = process.disk,
      .clock = process.clock,
      .logger = *process.logger,
      .metrics = process.metrics,
      // Only has to differ between members and starts: it spreads elections.
      .random = raft::Random(static_cast<uint64_t>(process.clock.WallNs()) ^
                             (static_cast<uint64_t>(getpid()) << 32)),
      .stores = {.open = [&process](const std::string& path) { return OpenStore(process, path); },
                 .remove = storage::RemoveRocksDirectory,
                 .replace = storage::ReplaceRocksDirectory},
      .make_transport =
          [&process](raft::NodeId self, PeerEvents events) {
            process.peer_port->Begin(self, std::move(events));
            return std::move(process.peer_port);
          },
      // The reason is in the log already; nothing this process still does would be safe.
      .on_failure = [](const absl::Status&) { _exit(1); },
      .on_restart = [&process] { process.restart(); },
      .on_removed = [&process] { process.removed(); },
  };
}

std::vector<std::string> GrpcAddresses(const std::vector<Url>& urls) {
  std::vector<std::string> addresses;
  for (const Url& url : urls) addresses.push_back(url.GrpcAddress());
  return addresses;
}

absl::Status OpenPeerPort(Process& process) {
  GrpcTransportOptions options;
  options.listen = GrpcAddresses(process.options.listen_peer_urls);
  options.peer_urls = UrlTexts(process.options.initial_advertise_peer_urls);
  GAVEL_ASSIGN_OR_RETURN(process.peer_port,
                         GrpcPeerTransport::Listen(options, *process.logger, process.metrics));
  return absl::OkStatus();
}

absl::Status StartClientFront(Process& process) {
  const ServerOptions& options = process.options;
  ServiceLimits limits;
  limits.request_bytes_max = options.max_request_bytes;
  limits.txn_ops_max = static_cast<int64_t>(options.max_txn_ops);
  // As etcd has it: one and a half election timeouts, in whole seconds.
  limits.lease_ttl_seconds_min =
      (options.election_timeout * 3 / 2 + kNsPerSecond - 1) / kNsPerSecond;
  limits.read_bytes_max = static_cast<int64_t>(options.read_bytes_max);
  limits.background_jobs_max = options.background_jobs_max;
  limits.snapshot_age_max = options.snapshot_age_max;
  limits.leader_patience = 3 * options.election_timeout;
  limits.strict_reconfig_check = options.strict_reconfig_check;
  limits.learners_max = options.max_learners;
  limits.connected_min = options.election_timeout;
  process.services =
      std::make_unique<ClientServices>(process.member->gate(), process.metrics, limits);
  Http2FrontOptions front;
  front.addresses = GrpcAddresses(options.listen_client_urls);
  front.io_threads = options.io_threads;
  front.message_bytes_max = options.max_request_bytes + kMessageBytesSpare;
  front.stream_high_mark = options.stream_bytes_max;
  front.limits = options.client_limits;
  front.limits.connections_max = process.descriptors.client_connections_max;
  front.limits.stream_bytes_max = static_cast<int64_t>(options.streams_bytes_max);
  front.max_concurrent_streams = options.max_concurrent_streams;
  front.keepalive_min_time = options.keepalive_min_time;
  front.keepalive_interval = options.keepalive_interval;
  front.keepalive_timeout = options.keepalive_timeout;
  front.warning_unary_duration = options.warning_unary_request_duration;
  front.extensive_metrics = options.extensive_metrics;
  GAVEL_ASSIGN_OR_RETURN(process.client_front,
                         Http2Front::Start(front, process.services->router(), process.clock,
                                           *process.logger, process.metrics));
  process.services->SetServing(true);
  return absl::OkStatus();
}

HealthProbe ProbeOf(Gate& gate) {
  HealthProbe probe;
  probe.state = [&gate] {
    const std::vector<std::string> errors = gate.status().disk_errors;
    std::vector<std::string> alarms;
    const auto limits = gate.limits();
    for (const storage::Alarm& alarm : limits->alarms) {
      alarms.push_back(storage::AlarmName(alarm.kind));
    }
    return HealthProbe::State{.has_leader = gate.has_leader(),
                              .alarms = std::move(alarms),
                              .disk_error = errors.empty() ? "" : errors.front()};
  };
  probe.read = [&gate](bool serializable, std::function<void(std::string)> done) {
    ReadForHealth(gate, serializable, std::move(done));
  };
  return probe;
}

absl::Status StartHttp(Process& process) {
  if (process.options.listen_metrics_urls.empty()) return absl::OkStatus();
  HttpLimits limits;
  limits.connections_max = process.descriptors.metrics_connections_max;
  GAVEL_ASSIGN_OR_RETURN(
      process.http,
      HttpServer::Start(process.options.listen_metrics_urls,
                        ObservationPaths(process.metrics, ProbeOf(process.member->gate())), limits,
                        *process.logger, process.metrics));
  return absl::OkStatus();
}

// Says what to do about a port that cannot be opened.
absl::Status WithAdvice(const absl::Status& status, const char* flag) {
  if (!absl::IsUnavailable(status)) return status;
  const bool taken = absl::StrContains(status.message(), std::strerror(EADDRINUSE));
  return absl::UnavailableError(absl::StrCat(status.message(),
                                             taken ? ": stop the process that has it, or" : ":",
                                             " choose another ", flag));
}

absl::Status Start(Process& process) {
  const ServerOptions& options = process.options;
  process.logger->Info("starting", {{"name", options.name},
                                    {"version", GavelVersion()},
                                    {"commit", GavelCommit()},
                                    {"data directory", options.data_dir},
                                    {"pid", getpid()}});
  GAVEL_RETURN_IF_ERROR(TakeDescriptors(process));
  GAVEL_RETURN_IF_ERROR(WithAdvice(OpenPeerPort(process), "--listen-peer-urls"));
  GAVEL_ASSIGN_OR_RETURN(std::unique_ptr<Node> node,
                         Node::Open(NodeOptionsFrom(process), SurroundingsOf(process)));
  process.member =
      std::make_unique<Member>(std::move(node), process.clock, options.background_threads);
  GAVEL_RETURN_IF_ERROR(WithAdvice(StartClientFront(process), "--listen-client-urls"));
  GAVEL_RETURN_IF_ERROR(WithAdvice(StartHttp(process), "--listen-metrics-urls"));
  for (const Url& url : options.listen_client_urls) {
    process.logger->Info("serving clients", {{"url", url.Text()}});
  }
  return absl::OkStatus();
}

// Waits for signals on a thread of its own, from before the start to the end. The first asks for a
// clean stop, or ends the process at once if it has not begun to serve: what it would interrupt
// then is as safe as from a crash. The second ends the process whatever it does.
class Signals {
 public:
  // SIGTERM and SIGINT are blocked, and so they stay.
  Signals(const sigset_t& signals, Logger& logger) : signals_(signals), logger_(logger) {
    std::thread([this] { Watch(); }).detach();
  }

  // The start is over: from here on signals ask for a clean stop.
  void OnServing() {
    State starting = State::kStarting;
    if (state_.compare_exchange_strong(starting, State::kServing)) return;
    while (true) pause();  // The process is about to end.
  }
  // The member must start again.
  void AskForRestart() { asked_.release(); }
  // The member was removed from its cluster.
  void AskForRemoval() {
    removed_ = true;
    asked_.release();
  }
  enum class Wish { kStop, kRestart, kRemoval };
  Wish Await() {
    asked_.acquire();
    if (stopping()) return Wish::kStop;
    return removed_ ? Wish::kRemoval : Wish::kRestart;
  }
  bool stopping() const { return state_ == State::kStopping; }

 private:
  enum class State { kStarting, kServing, kStopping };

  void Watch() {
    int number = 0;
    sigwait(&signals_, &number);
    if (state_.exchange(State::kStopping) == State::kStarting) {
      logger_.Info("stopping during the start", {{"signal", number}});
      logger_.Flush();
      _exit(0);
    }
    logger_.Info("stopping; a second signal stops at once", {{"signal", number}});
    asked_.release();
    sigwait(&signals_, &number);
    _exit(128 + number);
  }

  const sigset_t signals_;
  Logger& logger_;
  std::atomic<State> state_ = State::kStarting;
  std::atomic<bool> removed_ = false;
  std::counting_semaphore<3> asked_{0};  // By a signal, for a restart, for the removal.
};

// The same program once more, with the same arguments and under the same pid. Nothing of this life
// is left: what a member keeps in memory would have to be built anew all the same.
[[noreturn]] void StartAgain(Process& process, const Signals& stop, char** argv) {
  process.services->SetServing(false);
  if (process.http != nullptr) process.http.reset();
  process.client_front->Shutdown(0);
  process.logger->Flush();
  if (stop.stopping()) _exit(0);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execv("/proc/self/exe", argv);
  process.logger->Error("cannot start again", {{"error", std::string(strerror(errno))}});
  process.logger->Flush();
  _exit(1);
}

absl::Status Stop(Process& process) {
  process.services->SetServing(false);
  if (process.http != nullptr) process.http.reset();
  // The peers' port stays open meanwhile: requests under way need them.
  process.client_front->Shutdown(kGrace);
  const absl::Status stopped = process.member->Stop(process.options.election_timeout);
  if (stopped.ok()) process.logger->Info("stopped cleanly");
  process.logger->Flush();
  return stopped;
}

int Main(int argc, char** argv, char** environment) {
  absl::StatusOr<ParsedOptions> parsed =
      ParseOptions(std::vector<std::string>(argv + 1, argv + argc), EnvironmentOf(environment));
  if (!parsed.ok()) {
    absl::FPrintF(stderr, "gaveld: %s\n", parsed.status().message());
    return 1;
  }
  if (parsed->print.has_value()) {
    absl::PrintF("%s", *parsed->print);
    return 0;
  }

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // Before any thread: all inherit it.
  signal(SIGPIPE, SIG_IGN);
  // gRPC would write its own lines to standard error; what matters is in our log.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  const uint64_t descriptors = RaiseDescriptorLimit();  // Before it is told as a metric.
  Process process;
  process.descriptors.limit = descriptors;
  process.options = std::move(parsed->options);
  absl::StatusOr<std::unique_ptr<Logger>> logger = Logger::Create(process.options.log);
  if (!logger.ok()) {
    absl::FPrintF(stderr, "gaveld: %s\n", logger.status().message());
    return 1;
  }
  process.logger = *std::move(logger);
  for (const std::string& warning : parsed->warnings) process.logger->Warn(warning);

  Signals stop(signals, *process.logger);
  process.restart = [&stop] { stop.AskForRestart(); };
  process.removed = [&stop] { stop.AskForRemoval(); };
  if (const absl::Status started = Start(process); !started.ok()) {
    process.logger->Error("cannot start", {{"error", std::string(started.message())}});
    process.logger->Flush();
    absl::FPrintF(stderr, "gaveld: %s\n", started.message());
    return IsRemovedError(started) ? kRemovedCode : 1;
  }
  stop.OnServing();
  const Signals::Wish wish = stop.Await();
  if (wish == Signals::Wish::kRestart) StartAgain(process, stop, argv);
  if (wish == Signals::Wish::kRemoval) Pause(kRemovedTime);
  const bool stopped = Stop(process).ok();
  const int code = !stopped ? 1 : wish == Signals::Wish::kRemoval ? kRemovedCode : 0;
  // What is durable is durable; taking the rest apart would only cost time.
  _exit(code);
}

}  // namespace
}  // namespace gavel::server

int main(int argc, char** argv, char** environment) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return gavel::server::Main(argc, argv, environment);
}
