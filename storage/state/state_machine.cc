#include "storage/state/state_machine.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "proto/internal/command.pb.h"
#include "raft/check.h"
#include "raft/sim_point.h"
#include "storage/mutex.h"
#include "storage/mvcc/key_counts.h"
#include "storage/mvcc/newest_cache.h"
#include "storage/mvcc/overlay.h"
#include "storage/mvcc/writer.h"
#include "storage/state/command.h"
#include "storage/state/key_values.h"
#include "storage/state/limits.h"
#include "storage/state/members.h"
#include "storage/state/membership.h"
#include "storage/state/meta.h"
#include "storage/state/opening.h"
#include "storage/status_macros.h"

namespace gavel::storage {
namespace {

using internal::Command;

// Adds the entry that failed to an error's message.
absl::Status AtEntry(const raft::Entry& entry, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("entry ", entry.index.value(), ": ", status.message()));
}

// Makes room for the response, if somebody waits for it.
template <class Response>
Response* Room(const StateMachine::Wanted* wanted, CommandOutcome& outcome) {
  return wanted != nullptr ? &outcome.response.emplace<Response>() : nullptr;
}

}  // namespace

class StateMachine::Impl {
 public:
  Impl(std::shared_ptr<Engine> engine, StateMachineOptions options)
      : engine_(std::move(engine)),
        cache_(options.newest_cache_bytes_max),
        lease_cache_(options.lease_cache_rows_max),
        lease_key_cache_(options.lease_key_cache_bytes_max),
        lease_renewals_(std::make_shared<LeaseRenewals>(options.lease_renewals_max)),
        count_part_keys_(options.count_part_keys) {}

  absl::Status Open(const InitialState& initial);
  absl::StatusOr<ApplyResult> Apply(std::span<const raft::Entry> entries, const Wanted& wanted);

  const Engine& engine() const { return *engine_; }
  raft::Index applied() const { return state_.applied; }
  std::shared_ptr<const ReadView> view() const {
    const MutexLock lock(mutex_);
    return view_;
  }
  std::shared_ptr<const MemberTable> members() const {
    const MutexLock lock(mutex_);
    return published_members_;
  }
  std::shared_ptr<const raft::Configuration> configuration() const {
    const MutexLock lock(mutex_);
    return published_configuration_;
  }
  std::shared_ptr<const Membership> membership() const {
    const MutexLock lock(mutex_);
    return published_membership_;
  }
  std::shared_ptr<const LimitsState> limits() const {
    const MutexLock lock(mutex_);
    return published_limits_;
  }
  Sizes sizes() const {
    const MutexLock lock(mutex_);
    return sizes_;
  }
  LeaseTotals leases() const {
    const MutexLock lock(mutex_);
    return published_leases_;
  }
  uint32_t semantics() const {
    const MutexLock lock(mutex_);
    return published_semantics_;
  }
  DigestMarks digest_marks() const {
    const MutexLock lock(mutex_);
    return published_marks_;
  }
  OperationCounts operations() const {
    const MutexLock lock(mutex_);
    return operations_;
  }

 private:
  // All that one Apply changes, kept aside until the engine has taken the batch.
  struct Draft {
    MetaState state;
    MetaLeases leases;
    uint32_t semantics = 0;
    WriteBatch batch;
    std::optional<MemberTable> members;
    std::optional<raft::Configuration> configuration;
    std::optional<Membership> membership;
    ApplyResult result;
    int64_t response_bytes = 0;  // Kept in responses.
  };

  // What commands work on.
  struct Commands {
    KeyValues& key_values;
    Leases& leases;
    Limits& limits;
  };
  absl::Status ApplyEntry(const raft::Entry& entry, const Commands& commands, const Wanted& wanted,
                          google::protobuf::Arena& arena, Draft& draft);
  RequestError ApplyChange(const internal::ChangeMembers& change, Draft& draft);
  absl::Status ApplyConfiguration(const raft::Entry& entry, Limits& limits, Draft& draft);
  absl::StatusOr<CommandOutcome> ApplyCommand(const Command& command, const raft::Entry& entry,
                                              const Commands& commands, const Wanted* wanted,
                                              Draft& draft);
  // Those that the body is not a client's.
  absl::Status ApplyInternal(const Command& command, const raft::Entry& entry, Leases& leases,
                             RenewOutcome* renewed, Draft& draft);
  void Publish(const OperationCounts& operations);

  const std::shared_ptr<Engine> engine_;
  const std::shared_ptr<std::atomic<Revision>> compacted_ =
      std::make_shared<std::atomic<Revision>>(-1);

  // Of the thread that applies.
  NewestCache cache_;
  LeaseCache lease_cache_;
  LeaseKeyCache lease_key_cache_;
  const std::shared_ptr<LeaseRenewals> lease_renewals_;
  const int64_t count_part_keys_;
  std::shared_ptr<KeyCounts> counts_;
  MetaState state_;
  MetaLeases leases_;
  uint32_t semantics_ = 0;
  MemberTable members_;
  raft::Configuration configuration_;
  Membership membership_;
  LimitsState limits_;

  mutable Mutex mutex_;
  std::shared_ptr<const ReadView> view_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const MemberTable> published_members_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const raft::Configuration> published_configuration_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Membership> published_membership_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const LimitsState> published_limits_ ABSL_GUARDED_BY(mutex_);
  Sizes sizes_ ABSL_GUARDED_BY(mutex_);
  LeaseTotals published_leases_ ABSL_GUARDED_BY(mutex_);
  uint32_t published_semantics_ ABSL_GUARDED_BY(mutex_) = 0;
  DigestMarks published_marks_ ABSL_GUARDED_BY(mutex_);
  OperationCounts operations_ ABSL_GUARDED_BY(mutex_);
};

absl::Status StateMachine::Impl::Open(const InitialState& initial) {
  absl::StatusOr<StateRows> rows = ReadStateRows(*engine_);
  if (absl::IsNotFound(rows.status())) {
    GAVEL_RETURN_IF_ERROR(Initialise(*engine_, initial));
    rows = ReadStateRows(*engine_);
  }
  if (!rows.ok()) return rows.status();
  semantics_ = rows->semantics;
  state_ = rows->state;
  leases_ = rows->leases;
  members_ = std::move(rows->members);
  configuration_ = std::move(rows->configuration);
  membership_ = std::move(rows->membership);
  limits_ = std::move(rows->limits);
  GAVEL_RETURN_IF_ERROR(lease_renewals_->Load(*engine_, state_.applied));
  counts_ = std::make_shared<KeyCounts>(
      HistoryPlace{{rows->base.revision + 1, 0}, rows->base.superseded_total}, count_part_keys_);
  Publish({});
  return absl::OkStatus();
}

absl::StatusOr<ApplyResult> StateMachine::Impl::Apply(std::span<const raft::Entry> entries,
                                                      const Wanted& wanted) {
  if (entries.empty()) return ApplyResult();
  Draft draft;
  draft.state = state_;
  draft.leases = leases_;
  draft.semantics = semantics_;
  Overlay overlay(*engine_, &cache_);
  LeaseKeys lease_keys(*engine_, lease_key_cache_, draft.batch);
  Writer writer(*engine_, overlay, lease_keys, draft.batch, draft.state.totals,
                wanted.changes ? &draft.result.changes : nullptr);
  Leases leases({.engine = *engine_,
                 .cache = lease_cache_,
                 .renewals = *lease_renewals_,
                 .overlay = overlay,
                 .keys = lease_keys,
                 .writer = writer,
                 .totals = draft.state.totals,
                 .batch = draft.batch,
                 .state = draft.leases,
                 .changes = draft.result.leases});
  KeyValues key_values(overlay, leases, writer, draft.state.totals);
  Limits limits(limits_, draft.state.totals, draft.leases);
  google::protobuf::Arena arena;
  for (const raft::Entry& entry : entries) {
    GAVEL_CHECK(entry.index == draft.state.applied.Next())
        << "entry " << entry.index.value() << " after " << draft.state.applied.value();
    const size_t lease_changes = draft.result.leases.size();
    if (absl::Status status = ApplyEntry(entry, {key_values, leases, limits}, wanted, arena, draft);
        !status.ok()) {
      return AtEntry(entry, status);
    }
    limits.Settle();
    draft.state.applied = entry.index;
    draft.state.applied_term = entry.term;
    draft.state.totals.digest = DigestAfter(entry, draft.state.totals, draft.leases,
                                            std::span(draft.result.leases).subspan(lease_changes));
  }
  if (GAVEL_PLANTED_BUG(23)) {
    if (absl::Status status = engine_->Write(draft.batch); !status.ok()) return status;
    draft.batch.Clear();
  }
  GAVEL_SIM_POINT("batch decided, not written");
  draft.batch.Put(Family::kMeta, kMetaState, EncodeMetaState(draft.state));
  if (draft.leases != leases_) WriteMetaLeases(draft.leases, draft.batch);
  if (draft.semantics != semantics_) {
    draft.batch.Put(Family::kMeta, kMetaFormat,
                    EncodeMetaFormat({kFormatVersion, draft.semantics}));
  }
  if (draft.members) {
    draft.result.members_changed = *draft.members != members_;
    WriteMembers(members_, *draft.members, draft.batch);
  }
  if (draft.membership) {
    draft.result.members_changed |= *draft.membership != membership_;
    if (!draft.membership->as_configured) {
      draft.batch.Put(Family::kMeta, kMetaMembership, EncodeMembership(*draft.membership));
    }
  }
  limits.Write(draft.batch);
  if (absl::Status status = engine_->Write(draft.batch); !status.ok()) return status;
  GAVEL_SIM_POINT("batch written, not shown");

  overlay.Written();
  lease_keys.Written();
  leases.Written();
  state_ = draft.state;
  leases_ = draft.leases;
  semantics_ = draft.semantics;
  if (draft.members) members_ = *std::move(draft.members);
  if (draft.configuration) configuration_ = *std::move(draft.configuration);
  if (draft.membership) membership_ = *std::move(draft.membership);
  limits_ = limits.state();
  Publish(key_values.counts());
  return std::move(draft.result);
}

absl::Status StateMachine::Impl::ApplyEntry(const raft::Entry& entry, const Commands& commands,
                                            const Wanted& wanted, google::protobuf::Arena& arena,
                                            Draft& draft) {
  if (entry.kind == raft::EntryKind::kEmpty) return absl::OkStatus();
  if (entry.payload == nullptr) return absl::DataLossError("no payload");
  if (entry.kind == raft::EntryKind::kConfiguration) {
    return ApplyConfiguration(entry, commands.limits, draft);
  }
  if (entry.kind != raft::EntryKind::kCommand) {
    return absl::DataLossError(absl::StrCat("unknown kind ", static_cast<int>(entry.kind)));
  }
  GAVEL_ASSIGN_OR_RETURN(const Command* const command, DecodeCommand(*entry.payload, arena));
  switch (command->body_case()) {
    case Command::kMarkDigest:
      draft.result.digest_news = false;
      break;
    case Command::kReportDigest:
      break;
    default:
      draft.result.digest_news = true;
  }
  const bool is_wanted = command->member() == wanted.member.value() &&
                         command->incarnation() == wanted.incarnation.value();
  absl::StatusOr<CommandOutcome> outcome =
      ApplyCommand(*command, entry, commands, is_wanted ? &wanted : nullptr, draft);
  if (!outcome.ok()) return outcome.status();
  outcome->id = {raft::NodeId(command->member()), raft::Incarnation(command->incarnation()),
                 command->sequence()};
  outcome->index = entry.index;
  if (outcome->error != RequestError::kNone || outcome->response_too_large) {
    outcome->response = std::monostate();
  }
  draft.result.outcomes.push_back(*std::move(outcome));
  return absl::OkStatus();
}

absl::Status StateMachine::Impl::ApplyConfiguration(const raft::Entry& entry, Limits& limits,
                                                    Draft& draft) {
  absl::StatusOr<raft::Configuration> configuration = raft::DecodeConfiguration(*entry.payload);
  if (!configuration.ok()) return configuration.status();
  limits.OnConfiguration(*configuration);
  draft.members = WithConfiguration(draft.members ? *draft.members : members_, *configuration);
  draft.configuration = *std::move(configuration);
  draft.batch.Put(Family::kMeta, kMetaConfiguration, *entry.payload);
  if (!draft.membership) draft.membership = membership_;
  SettleMembership(*draft.configuration, *draft.membership);
  return absl::OkStatus();
}

RequestError StateMachine::Impl::ApplyChange(const internal::ChangeMembers& change, Draft& draft) {
  Membership next = draft.membership ? *draft.membership : membership_;
  const RequestError error =
      ChangeMembership(change, draft.configuration ? *draft.configuration : configuration_, next);
  if (error == RequestError::kNone) draft.membership = std::move(next);
  return error;
}

absl::StatusOr<CommandOutcome> StateMachine::Impl::ApplyCommand(const Command& command,
                                                                const raft::Entry& entry,
                                                                const Commands& commands,
                                                                const Wanted* wanted,
                                                                Draft& draft) {
  auto& [key_values, leases, limits] = commands;
  CommandOutcome outcome;
  outcome.error = limits.Admit(command);
  if (outcome.error != RequestError::kNone) return outcome;
  absl::StatusOr<RequestError> error = RequestError::kNone;
  AnswerRoom room(
      [&](int64_t bytes) { return draft.response_bytes + bytes <= wanted->response_bytes_max; });
  switch (command.body_case()) {
    case Command::kPut:
      error = key_values.Put(command.put(), Room<etcdserverpb::PutResponse>(wanted, outcome), room);
      break;
    case Command::kDeleteRange:
      error = key_values.DeleteRange(
          command.delete_range(), Room<etcdserverpb::DeleteRangeResponse>(wanted, outcome), room);
      break;
    case Command::kTxn:
      error = key_values.Txn(command.txn(), Room<etcdserverpb::TxnResponse>(wanted, outcome), room);
      break;
    case Command::kCompact:
      error = key_values.Compact(command.compact(),
                                 Room<etcdserverpb::CompactionResponse>(wanted, outcome));
      break;
    case Command::kLeaseGrant:
      error = leases.Grant(command.lease_grant(), entry.index,
                           Room<etcdserverpb::LeaseGrantResponse>(wanted, outcome));
      break;
    case Command::kLeaseRevoke:
      error = leases.Revoke(command.lease_revoke(),
                            Room<etcdserverpb::LeaseRevokeResponse>(wanted, outcome));
      break;
    case Command::kChangeMembers:
      error = ApplyChange(command.change_members(), draft);
      break;
    case Command::kChangeAlarm:
      limits.Change(command.change_alarm(), Room<AlarmTable>(wanted, outcome));
      break;
    case Command::kSetQuota:
      limits.SetQuota(command.set_quota().bytes());
      break;
    default:
      if (absl::Status status = ApplyInternal(
              command, entry, leases,
              command.has_renew_leases() ? Room<RenewOutcome>(wanted, outcome) : nullptr, draft);
          !status.ok()) {
        return status;
      }
  }
  if (!error.ok()) return error.status();
  outcome.error = *error;
  draft.response_bytes += room.kept();
  outcome.response_too_large = room.refused();
  return outcome;
}

absl::Status StateMachine::Impl::ApplyInternal(const Command& command, const raft::Entry& entry,
                                               Leases& leases, RenewOutcome* renewed,
                                               Draft& draft) {
  switch (command.body_case()) {
    case Command::kRenewLeases:
      return leases.Renew(command.renew_leases(), entry.index, renewed);
    case Command::kExpireLeases:
      return leases.Expire(command.expire_leases(), entry.term);
    case Command::kLeaseClock:
      leases.SetClock(command.lease_clock().now_ms());
      return absl::OkStatus();
    case Command::kPublishMember:
      if (!draft.members) draft.members = members_;
      RecordPublished(command.publish_member(), *draft.members);
      return absl::OkStatus();
    case Command::kSetLeaderPriority:
      if (!draft.members) draft.members = members_;
      RecordPriority(command.set_leader_priority(), *draft.members);
      return absl::OkStatus();
    case Command::kAgreeSemantics:
      draft.semantics = std::max(draft.semantics, command.agree_semantics().version());
      return absl::OkStatus();
    case Command::kMarkDigest:
      draft.state.marks = {DigestMark{entry.index, draft.state.totals.digest},
                           draft.state.marks[0]};
      draft.result.digest_marked = true;
      return absl::OkStatus();
    case Command::kReportDigest: {
      const internal::ReportDigest& report = command.report_digest();
      draft.result.digest_reports.push_back(
          {raft::NodeId(command.member()), {raft::Index(report.mark()), report.digest()}});
      return absl::OkStatus();
    }
    default:
      return absl::DataLossError("the command has no body that this build knows");
  }
}

void StateMachine::Impl::Publish(const OperationCounts& operations) {
  // First what readers check last: a reader that misses a collected version finds this moved.
  compacted_->store(state_.totals.compacted);
  auto view = std::make_shared<ReadView>();
  view->engine = engine_;
  view->revision = state_.totals.revision;
  view->compacted = state_.totals.compacted;
  view->applied = state_.applied;
  view->applied_term = state_.applied_term;
  view->published_compacted = compacted_;
  view->lease_renewals = lease_renewals_;
  view->counts = counts_;
  const Totals& totals = state_.totals;
  const Sizes sizes = {.live_bytes = totals.live_bytes,
                       .superseded_bytes = totals.superseded_total - totals.superseded_compacted,
                       .keys = totals.keys,
                       .used_bytes = UsedBytes(totals, leases_)};

  const MutexLock lock(mutex_);
  view_ = std::move(view);
  sizes_ = sizes;
  published_leases_ = {leases_.clock_ms, leases_.count};
  published_semantics_ = semantics_;
  published_marks_ = state_.marks;
  operations_.puts += operations.puts;
  operations_.deletes += operations.deletes;
  operations_.txns += operations.txns;
  if (published_limits_ == nullptr || *published_limits_ != limits_) {
    published_limits_ = std::make_shared<const LimitsState>(limits_);
  }
  if (published_members_ == nullptr || *published_members_ != members_) {
    published_members_ = std::make_shared<const MemberTable>(members_);
  }
  if (published_configuration_ == nullptr || *published_configuration_ != configuration_) {
    published_configuration_ = std::make_shared<const raft::Configuration>(configuration_);
  }
  if (published_membership_ == nullptr || *published_membership_ != membership_) {
    published_membership_ = std::make_shared<const Membership>(membership_);
  }
}

StateMachine::StateMachine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateMachine::~StateMachine() = default;

absl::StatusOr<std::unique_ptr<StateMachine>> StateMachine::Open(std::shared_ptr<Engine> engine,
                                                                 const InitialState& initial,
                                                                 StateMachineOptions options) {
  auto impl = std::make_unique<Impl>(std::move(engine), options);
  if (absl::Status status = impl->Open(initial); !status.ok()) return status;
  return std::unique_ptr<StateMachine>(new StateMachine(std::move(impl)));
}

absl::StatusOr<bool> StateMachine::Exists(const Engine& engine) {
  std::string row;
  const absl::Status status = engine.Get(Family::kMeta, kMetaFormat, &row);
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<ApplyResult> StateMachine::Apply(std::span<const raft::Entry> entries,
                                                const Wanted& wanted) {
  return impl_->Apply(entries, wanted);
}

std::shared_ptr<const ReadView> StateMachine::view() const { return impl_->view(); }
raft::Index StateMachine::applied() const { return impl_->applied(); }
std::shared_ptr<const std::vector<MemberRecord>> StateMachine::members() const {
  return impl_->members();
}
std::shared_ptr<const raft::Configuration> StateMachine::configuration() const {
  return impl_->configuration();
}
std::shared_ptr<const Membership> StateMachine::membership() const { return impl_->membership(); }
std::shared_ptr<const LimitsState> StateMachine::limits() const { return impl_->limits(); }

StateMachine::Sizes StateMachine::sizes() const { return impl_->sizes(); }

StateMachine::LeaseTotals StateMachine::leases() const { return impl_->leases(); }

uint32_t StateMachine::semantics() const { return impl_->semantics(); }

DigestMarks StateMachine::digest_marks() const { return impl_->digest_marks(); }

OperationCounts StateMachine::operations() const { return impl_->operations(); }

absl::StatusOr<raft::EntryId> StateMachine::DurableApplied() const {
  const absl::StatusOr<Durable> durable = ReadDurable();
  if (!durable.ok()) return durable.status();
  return durable->applied;
}

absl::StatusOr<StateMachine::Durable> StateMachine::ReadDurable() const {
  ReadOptions options;
  options.persisted_only = true;
  const absl::StatusOr<MetaState> state = ReadMetaState(impl_->engine(), options);
  if (absl::IsNotFound(state.status())) return Durable();
  if (!state.ok()) return state.status();
  return Durable{{state->applied, state->applied_term}, state->totals.compacted};
}

}  // namespace gavel::storage
