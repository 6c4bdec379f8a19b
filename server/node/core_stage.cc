#include "server/node/core_stage.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include <google/protobuf/arena.h>

#include "proto/internal/command.pb.h"
#include "raft/sim_point.h"
#include "server/node/command_bytes.h"
#include "server/node/membership_driver.h"
#include "storage/state/command.h"

namespace gavel::server {
namespace {

// Why a change of members is refused that the state would take.
constexpr char kNotYet[] = "the members are not ready for this change";

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

template <class T>
void Append(std::vector<T>& to, std::vector<T> from) {
  if (to.empty()) {
    to = std::move(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
}

}  // namespace

CoreOutput CoreStage::Process(CoreTurn turn) {
  CoreOutput output;
  for (uint32_t i = 0; i < turn.ticks; ++i) raft_.Tick();
  if (turn.first.has_value()) output.first = raft_.ProposeAsLeader(*turn.first);
  for (CoreInput& input : turn.inputs) Take(std::move(input), output);
  if (!turn.proposals.empty()) {
    ScreenOwn(turn.proposals, output);
    proposed_term_ = raft_.status().term;
    raft_.Propose(std::move(turn.proposals));
  }
  if (turn.last.has_value()) output.last = raft_.ProposeAsLeader(*turn.last);
  if (turn.change.has_value()) raft_.ProposeChange(*turn.change);
  if (turn.read_round.has_value()) raft_.RequestRead(*turn.read_round);

  while (raft_.HasEffects()) {
    Split(raft_.TakeEffects(), output);
    Confirm();
  }
  return output;
}

void CoreStage::Take(CoreInput input, CoreOutput& output) {
  std::visit(Overloaded{
                 [this, &output](PeerMessages& peer) {
                   for (raft::Message& message : peer.messages) {
                     auto* forward = std::get_if<raft::ForwardProposals>(&message.body);
                     if (forward != nullptr) Screen(message, *forward, output);
                     raft_.Step(std::move(message));
                   }
                 },
                 [this](Persisted& persisted) {
                   last_persisted_ = std::max(last_persisted_, persisted.number);
                   if (last_persisted_ > last_confirmed_) {
                     raft_.OnPersisted(last_persisted_);
                     last_confirmed_ = last_persisted_;
                   }
                   Confirm();
                 },
                 [this](Applied& applied) { raft_.OnApplied(applied.last.index); },
                 [this](OlderEntries& older) {
                   raft_.OnOlderEntries(older.to, older.from, std::move(older.entries));
                 },
                 [this](SnapshotSent& sent) { raft_.OnSnapshotSent(sent.to, sent.index); },
                 [this](PeerUnreachable& peer) { raft_.OnPeerUnreachable(peer.peer); },
                 [this](PeerConnectionLost& peer) { raft_.OnPeerConnectionLost(peer.peer); },
                 [this](PeerConnected& peer) { raft_.OnPeerConnected(peer.peer); },
                 [this](LogCut& cut) { raft_.CompactTo(cut.index); },
                 [this](HandOver& hand_over) { raft_.TransferLeadership(hand_over.target); },
                 [](LeasesFound&) {},
             },
             input);
}

storage::RequestError CoreStage::WhyNotYet(const raft::Proposal& proposal) const {
  if (CommandFieldOf(*proposal.payload) != static_cast<int>(CommandField::kChangeMembers)) {
    return storage::RequestError::kNone;
  }
  google::protobuf::Arena arena;
  const auto command = storage::DecodeCommand(*proposal.payload, arena);
  if (!command.ok()) return storage::RequestError::kNone;
  return server::WhyNotYet((*command)->change_members(), raft_.configuration(), raft_.status());
}

void CoreStage::ScreenOwn(std::vector<raft::Proposal>& proposals, CoreOutput& output) const {
  std::erase_if(proposals, [&](const raft::Proposal& proposal) {
    const storage::RequestError why = WhyNotYet(proposal);
    if (why == storage::RequestError::kNone || raft_.status().role != raft::Role::kLeader) {
      return false;
    }
    output.proposals.push_back({proposal.id,
                                raft::ProposalOutcome::Kind::kRefused,
                                {},
                                std::string(kNotYet),
                                static_cast<uint32_t>(why)});
    return true;
  });
}

void CoreStage::Screen(const raft::Message& message, raft::ForwardProposals& forward,
                       CoreOutput& output) {
  std::map<std::pair<std::string, uint32_t>, raft::ProposalsDropped> refused;  // By reason.
  std::erase_if(forward.proposals, [&](const raft::Proposal& proposal) {
    std::string reason = check_.WhyNot(proposal);
    uint32_t number = 0;
    if (reason.empty()) {
      number = static_cast<uint32_t>(WhyNotYet(proposal));
      if (number != 0) reason = kNotYet;
    }
    if (reason.empty()) return false;
    refused[{std::move(reason), number}].ids.push_back(proposal.id);
    return true;
  });
  if (refused.empty()) return;
  const raft::Status status = raft_.status();
  // Who leads in that term has looked at each copy of the message. Nobody else can say what became
  // of another one.
  const bool certain = status.role == raft::Role::kLeader && status.term == forward.leader_term;
  for (auto& [why, dropped] : refused) {
    const auto& [reason, number] = why;
    if (number == 0) output.refused.push_back({message.from, reason});
    if (!certain) continue;
    dropped.refusal = reason;
    dropped.reason = number;
    output.send.push_back({message.to, message.from, status.term, std::move(dropped)});
  }
}

void CoreStage::Split(raft::Effects effects, CoreOutput& output) {
  last_batch_ = std::max(last_batch_, effects.number);
  if (effects.configuration.has_value()) output.configuration = std::move(effects.configuration);
  Append(output.send, std::move(effects.send_now));

  const bool records = effects.install.has_value() || !effects.append.empty() || effects.must_sync;
  // Messages that speak for earlier batches still on their way to the disk go behind them.
  const bool behind = !GAVEL_PLANTED_BUG(28) && !effects.send_after_persist.empty() &&
                      last_written_ > last_persisted_;
  if (effects.hard_state.has_value()) held_hard_state_ = effects.hard_state;
  if (records || behind) {
    LogBatch batch;
    batch.number = effects.number;
    batch.records.mark = std::move(effects.install);
    batch.records.hard_state = std::exchange(held_hard_state_, std::nullopt);
    batch.records.entries = std::move(effects.append);
    batch.must_sync = effects.must_sync;
    batch.send_after_persist = std::move(effects.send_after_persist);
    last_written_ = effects.number;
    output.log.push_back(std::move(batch));
  } else {
    Append(output.send, std::move(effects.send_after_persist));
  }

  Append(output.committed, std::move(effects.committed));
  Append(output.reads, std::move(effects.reads));
  Append(output.failed_reads, std::move(effects.failed_reads));
  Append(output.proposals, std::move(effects.proposals));
  Append(output.older, std::move(effects.older));
  Append(output.snapshots, std::move(effects.snapshots));
  if (effects.role.has_value()) output.roles.push_back(*effects.role);
}

void CoreStage::Confirm() {
  if (last_written_ > last_persisted_ || last_batch_ <= last_confirmed_) return;
  raft_.OnPersisted(last_batch_);
  last_confirmed_ = last_batch_;
}

std::optional<raft::HardState> CoreStage::TakeHeldHardState() {
  return std::exchange(held_hard_state_, std::nullopt);
}

}  // namespace gavel::server
