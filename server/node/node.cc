#include "server/node/node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

#include "proto/internal/command.pb.h"
#include "server/node/status_metrics.h"
#include "server/node/watch_metrics.h"
#include "server/version.h"
#include "storage/mvcc/collector.h"
#include "storage/state/membership.h"
#include "storage/state/semantics.h"
#include "storage/status_macros.h"

namespace gavel::server {
namespace {

constexpr MonotonicNs kPublishPoll = 20 * kNsPerMs;
constexpr MonotonicNs kPublishRetry = 500 * kNsPerMs;

std::string Hex(uint64_t id) { return absl::StrFormat("%x", id); }

raft::Options CoreOptions(const NodeOptions& options, const MemberIdentity& identity,
                          MonotonicNs tick) {
  raft::Options core;
  core.id = identity.id;
  core.incarnation = identity.incarnation;
  core.heartbeat_ticks =
      static_cast<uint32_t>(std::max<MonotonicNs>(1, options.heartbeat_interval / tick));
  core.election_ticks =
      std::max(core.heartbeat_ticks + 1, static_cast<uint32_t>(options.election_timeout / tick));
  core.append_bytes_max = options.append_bytes_max;
  core.recent_bytes_max = options.recent_bytes_max;
  return core;
}

absl::Status CheckSemanticsMax(uint32_t max) {
  if (max == 0 || (max >= storage::kFoundingSemantics && max <= storage::SemanticsVersion())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "--semantics-max is %d; this build knows versions %d to %d, and 0 stands for the last", max,
      storage::kFoundingSemantics, storage::SemanticsVersion()));
}

}  // namespace

Node::Node(const NodeOptions& options, const Surroundings& surroundings)
    : options_(options),
      clock_(surroundings.clock),
      logger_(surroundings.logger),
      queues_(surroundings.clock),
      failure_(surroundings.logger, surroundings.on_failure),
      stores_(surroundings.stores),
      on_restart_(surroundings.on_restart),
      on_removed_(surroundings.on_removed),
      configurations_(logger_, [this](raft::NodeId id) { return NameOf(id); }) {}

Node::~Node() {
  // Scrapes and the transport's threads look at everything else.
  on_scrape_.reset();
  on_watch_scrape_.reset();
  transport_.reset();
  queues_.background.Close();
}

absl::StatusOr<std::unique_ptr<Node>> Node::Open(const NodeOptions& options,
                                                 Surroundings surroundings) {
  GAVEL_RETURN_IF_ERROR(CheckSemanticsMax(options.semantics_max));
  GAVEL_ASSIGN_OR_RETURN(MemberParts parts, RecoverMember(surroundings.disk, surroundings.stores,
                                                          options.place, surroundings.logger));
  absl::StatusOr<std::unique_ptr<storage::Collector>> collector =
      storage::Collector::Open(parts.engine);
  if (!collector.ok()) return AtState(parts.directory.state_path(), collector.status());
  const raft::NodeId self = parts.identity.id;
  if (parts.machine->membership()->WasRemoved(self)) return RemovedError(self);
  std::unique_ptr<Node> node(new Node(options, surroundings));
  node->Build(surroundings, std::move(parts), *std::move(collector));
  return node;
}

void Node::Build(const Surroundings& surroundings, MemberParts parts,
                 std::unique_ptr<storage::Collector> collector) {
  identity_ = parts.identity;
  directory_ = std::make_unique<storage::DataDirectory>(std::move(parts.directory));
  log_owner_ = std::move(parts.log_owner);
  storage::StateMachine& machine = *parts.machine;
  watches_ = std::make_unique<WatchHub>(
      options_.watch, WatchHub::Surroundings{&clock_, [&machine] { return machine.view(); },
                                             [this](Background::Step step) {
                                               queues_.background.Add(std::move(step));
                                             },
                                             [this](MonotonicNs at, Background::Step step) {
                                               queues_.background.AddAt(at, std::move(step));
                                             }});
  gate_ = std::make_unique<MemberGate>(
      identity_, options_.client_urls, options_.gate, options_.limits.quota_bytes,
      MemberGate::Surroundings{clock_, queues_.background, machine, *parts.engine, *watches_,
                               [this] { queues_.core.Wake(); }},
      GateMetrics(surroundings.metrics));
  collection_ = std::make_unique<HistoryCollection>(
      std::move(collector),
      HistoryCollection::Surroundings{
          clock_, queues_, machine, failure_,
          [this](storage::Revision collected) { gate_->OnCollected(collected); }},
      HistoryMetrics(surroundings.metrics));

  compaction_ = std::make_unique<CompactionDriver>(
      options_.auto_compaction,
      CompactionDriver::Surroundings{clock_, logger_, queues_.background, *gate_});
  digests_ = std::make_unique<DigestDriver>(
      options_.digest_interval,
      DigestDriver::Surroundings{clock_, logger_, queues_.background, *gate_,
                                 [&machine] { return machine.digest_marks(); },
                                 [&machine] { return machine.configuration(); }},
      surroundings.metrics);
  limits_ = std::make_unique<LimitsDriver>(
      options_.limits,
      LimitsDriver::Surroundings{clock_, logger_, queues_.background, *gate_,
                                 [&machine] { return machine.sizes().used_bytes; },
                                 [&disk = surroundings.disk, path = options_.place.data_dir] {
                                   return disk.FreeBytes(path);
                                 },
                                 [this](bool low) { queues_.apply.Push(DiskSpace{low}); }});

  const uint32_t semantics =
      options_.semantics_max > 0 ? options_.semantics_max : storage::SemanticsVersion();
  semantics_ = std::make_unique<SemanticsDriver>(
      semantics,
      SemanticsDriver::Surroundings{
          clock_, logger_, queues_.background, *gate_, [&machine] { return machine.semantics(); },
          [this](raft::NodeId peer) { return receiver_->SemanticsOf(peer); }});
  const FrameAddress self{identity_.cluster_id, identity_.id, raft::NodeId(), identity_.incarnation,
                          semantics};
  receiver_ = std::make_unique<FrameReceiver>(
      self, logger_, surroundings.metrics,
      [this](raft::NodeId from, std::vector<raft::Message> messages) {
        transport_->OnHeardFrom(from);
        return queues_.core.TryPush(PeerMessages{std::move(messages)});
      },
      [this](raft::NodeId from, SnapshotMessage message) {
        transport_->OnHeardFrom(from);
        if (auto* piece = std::get_if<SnapshotPiece>(&message)) {
          received_->OnPiece(from, std::move(*piece));
        } else {
          snapshots_->OnReply(from, std::get<SnapshotReply>(message));
        }
      },
      [&machine](raft::NodeId member) { return machine.membership()->WasRemoved(member); });
  transport_ = surroundings.make_transport(identity_.id, MakeEvents());
  queues_.core.SetWaker([this] { transport_->Wake(); });
  sender_ = std::make_unique<FrameSender>(self, *transport_, surroundings.metrics);

  BuildSnapshots(surroundings, machine);
  const std::vector<raft::MemberAddress> known = parts.known;
  BuildStages(surroundings, std::move(parts));
  for (const raft::MemberAddress& peer : known)
    peers_.OnHeard(peer.id, peer.peer_urls, clock_.Now());
  OnConfiguration(core_->stage().configuration());
  if (machine.leases().count > 0) core_->leases().FindLeases(machine.view()->engine);
  on_scrape_ = AddStatusMetrics(surroundings.metrics, *gate_, machine);
  on_watch_scrape_ = AddWatchMetrics(surroundings.metrics, *watches_);
  collection_->OnCompacted();
  Publish();
  compaction_->Start();
  digests_->Start();
  limits_->Start();
  semantics_->Start();
}

void Node::BuildSnapshots(const Surroundings& surroundings, const storage::StateMachine& machine) {
  const auto send = [this](raft::NodeId to, SnapshotMessage message) {
    sender_->Send(to, std::move(message));
  };
  snapshots_ = std::make_unique<SnapshotSource>(
      storage::ArchiveOrigin{identity_.cluster_id, identity_.id}, identity_.incarnation,
      options_.snapshots,
      SnapshotSource::Surroundings{clock_, logger_, surroundings.metrics,
                                   [this](MonotonicNs at, SnapshotSource::Step step) {
                                     queues_.background.AddAt(at, std::move(step));
                                   },
                                   [&machine] { return machine.view()->engine; }, send,
                                   [this](raft::NodeId to, std::optional<raft::Index> index) {
                                     queues_.core.Push(SnapshotSent{to, index});
                                   }});
  received_ = std::make_unique<SnapshotSink>(
      identity_.cluster_id, SnapshotPlaces(directory_->snapshots_path()),
      SnapshotSink::Surroundings{
          clock_, logger_, surroundings.metrics, surroundings.disk, stores_,
          [this](Background::Step step) { queues_.background.Add(std::move(step)); },
          [this](raft::NodeId from) { return gate_->status().raft.leader == from; }, send,
          [this](raft::NodeId from, raft::SnapshotMeta meta) {
            OnWholeSnapshot(from, std::move(meta));
          },
          [this](const absl::Status& status) {
            failure_.Report("storing a snapshot that arrives",
                            "what has arrived is thrown away, the state is as it was: check the "
                            "disk and the kernel's messages, then start this member again",
                            status);
          }});
}

void Node::OnWholeSnapshot(raft::NodeId from, raft::SnapshotMeta meta) {
  raft::Message message;
  message.from = from;
  message.to = identity_.id;
  message.term = std::max(gate_->term(), meta.term);
  message.body = raft::InstallSnapshot{std::move(meta)};
  queues_.core.Push(PeerMessages{{std::move(message)}});
}

void Node::InstallSnapshot(const raft::SnapshotMeta& meta) {
  if (absl::Status status = received_->MakeCurrent(meta); !status.ok()) {
    if (!absl::IsFailedPrecondition(status)) {
      return failure_.Report("marking a snapshot that has arrived",
                             "check the disk and the kernel's messages, free space if it is full, "
                             "then start this member again",
                             status);
    }
    // The core has let go of its log for a snapshot that is gone. It is as before after a restart.
    logger_.Warn("a snapshot is not installed", {{"reason", std::string(status.message())}});
  } else {
    logger_.Info("this member starts again from the snapshot that has arrived",
                 {{"index", meta.index.value()}, {"term", meta.term.value()}});
  }
  logger_.Flush();
  on_restart_();
}

LeaseDriver Node::MakeLeases(const Surroundings& surroundings,
                             const storage::StateMachine& machine) {
  const storage::StateMachine::LeaseTotals leases = machine.leases();
  return LeaseDriver(LeaseKeeper(leases.count, leases.clock_ms),
                     LeaseDriver::Surroundings{clock_, queues_, failure_,
                                               [this] { return gate_->NewRequestId(); }},
                     LeaseMetrics(surroundings.metrics));
}

void Node::BuildStages(const Surroundings& surroundings, MemberParts parts) {
  const CoreTimes times{.tick = 10 * kNsPerMs,
                        .election_timeout = options_.election_timeout,
                        .leader_priority_wait = options_.leader_priority_wait};
  Counter& ends_cut = surroundings.metrics.AddCounter(
      "gavel_log_ends_cut_total", "Unfinished ends of the log that were cut off after a crash.");
  if (parts.log_end_cut) ends_cut.Increment();
  LogHistory history(parts.log_start);
  const absl::Status read = history.Append(parts.restored.entries);
  if (!read.ok()) failure_.Report("reading the log", "the log is damaged", read);
  log_stage_ = std::make_unique<LogStage>(std::move(parts.wal), std::move(history), clock_,
                                          LogMetrics(surroundings.metrics));
  const raft::Index applied = parts.restored.applied;
  LeaseDriver leases = MakeLeases(surroundings, *parts.machine);
  const MembershipDriver members(*parts.machine);
  apply_stage_ = std::make_unique<ApplyStage>(
      std::move(parts.machine), std::move(parts.engine),
      storage::StateMachine::Wanted{identity_.id, identity_.incarnation}, options_.apply_limits);

  CoreStage stage(raft::Raft(CoreOptions(options_, identity_, times.tick),
                             std::move(parts.restored), surroundings.random),
                  CommandCheck(options_.request_bytes_max));
  core_ = std::make_unique<CoreDriver>(
      std::move(stage), identity_.id, times,
      CoreDriver::Surroundings{
          clock_, logger_, queues_, *gate_, *sender_,
          [this](const raft::Configuration& configuration) { OnConfiguration(configuration); },
          log_stage_->wal(), *snapshots_, log_stage_->busy_since()},
      CoreMetrics(surroundings.metrics), PeerTimes(surroundings.metrics), std::move(leases),
      members);
  log_ = std::make_unique<LogDriver>(
      *log_stage_,
      LogDriver::Surroundings{clock_, logger_, queues_, *sender_, failure_,
                              [this](bool full) { gate_->SetLogFull(full); },
                              [this](const raft::SnapshotMeta& meta) { InstallSnapshot(meta); },
                              times.slow_disk});
  apply_ = std::make_unique<ApplyDriver>(
      *apply_stage_, applied, options_.apply,
      ApplyDriver::Surroundings{clock_, logger_, queues_, *gate_, *watches_, failure_, *collection_,
                                *snapshots_, *digests_, [this] { OnMembers(); }},
      ApplyMetrics(surroundings.metrics));
}

void Node::Publish() {
  queues_.background.AddAt(clock_.Now() + kPublishPoll, [this] {
    if (!gate_->has_leader()) {
      Publish();
      return false;
    }
    internal::PublishMember publish;
    publish.set_id(identity_.id.value());
    publish.set_name(options_.place.name);
    for (const std::string& url : options_.client_urls) publish.add_client_urls(url);
    gate_->Propose(CommandField::kPublishMember, publish.SerializeAsString(), std::nullopt,
                   [this](ProposeResult result) { OnPublished(result); });
    return false;
  });
}

void Node::OnPublished(const ProposeResult& result) {
  if (result.result == GateResult::kStopped) return;
  if (result.result != GateResult::kOk) {
    // Publishing twice is harmless, so an unknown outcome is tried again too.
    queues_.background.AddAt(clock_.Now() + kPublishRetry, [this] {
      Publish();
      return false;
    });
    return;
  }
  std::string urls;
  for (const std::string& url : options_.client_urls) urls += (urls.empty() ? "" : ",") + url;
  logger_.Info("published local member to cluster through raft",
               {{"member", Hex(identity_.id.value())},
                {"name", options_.place.name},
                {"client urls", urls},
                {"cluster", Hex(identity_.cluster_id)}});
  logger_.Info("enabled capabilities for version", {{"cluster version", kEtcdClusterVersion}});
  PublishPriority();
}

void Node::PublishPriority() {
  const auto members = gate_->members();
  const auto self = std::find_if(members->begin(), members->end(),
                                 [this](const auto& member) { return member.id == identity_.id; });
  if (self == members->end() || self->leader_priority == options_.leader_priority) return;
  internal::SetLeaderPriority set;
  set.set_id(identity_.id.value());
  set.set_priority(options_.leader_priority);
  gate_->Propose(CommandField::kSetLeaderPriority, set.SerializeAsString(), std::nullopt,
                 [this](const ProposeResult& result) {
                   if (result.result == GateResult::kOk || result.result == GateResult::kStopped) {
                     return;
                   }
                   queues_.background.AddAt(clock_.Now() + kPublishRetry, [this] {
                     PublishPriority();
                     return false;
                   });
                 });
}

void Node::HandOver() {
  const raft::Status status = gate_->status().raft;
  if (status.role != raft::Role::kLeader) return;
  const auto best = BestSuccessor(status, *gate_->members());
  if (!best) return;
  logger_.Info("handing leadership over before the stop", {{"to", Hex(best->value())}});
  queues_.core.Push(gavel::server::HandOver{*best});
}

void Node::Finish() {
  gate_->Stop();
  transport_->SetPeers({});
  if (failure_.failed()) return;
  log_->Finish(core_->TakeHeldHardState());
  apply_->Finish();
}

}  // namespace gavel::server
