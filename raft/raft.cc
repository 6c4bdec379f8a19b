#include "raft/raft.h"

#include <utility>

#include "raft/core.h"

namespace gavel::raft {

Raft::Raft(Options options, Restored restored, Random random)
    : core_(std::make_unique<Core>(options, std::move(restored), random)) {}
Raft::~Raft() = default;
Raft::Raft(Raft&&) noexcept = default;
Raft& Raft::operator=(Raft&&) noexcept = default;

void Raft::Tick() { core_->Tick(); }
void Raft::Step(Message message) { core_->Step(std::move(message)); }
void Raft::Propose(std::vector<Proposal> proposals) { core_->Propose(std::move(proposals)); }
std::optional<EntryId> Raft::ProposeAsLeader(const Proposal& proposal) {
  return core_->ProposeAsLeader(proposal);
}
bool Raft::ProposeChange(const Configuration& target) { return core_->ProposeChange(target); }
void Raft::RequestRead(ReadId id) { core_->RequestRead(id); }
void Raft::TransferLeadership(NodeId target) { core_->TransferLeadership(target); }
void Raft::OnPersisted(BatchNumber number) { core_->OnPersisted(number); }
void Raft::OnApplied(Index index) { core_->OnApplied(index); }
void Raft::OnOlderEntries(NodeId to, Index from, std::vector<Entry> entries) {
  core_->OnOlderEntries(to, from, std::move(entries));
}
void Raft::OnSnapshotSent(NodeId to, std::optional<Index> index) {
  core_->OnSnapshotSent(to, index);
}
void Raft::OnPeerUnreachable(NodeId peer) { core_->OnPeerUnreachable(peer); }
void Raft::OnPeerConnectionLost(NodeId peer) { core_->OnPeerConnectionLost(peer); }
void Raft::OnPeerConnected(NodeId peer) { core_->OnPeerConnected(peer); }
void Raft::CompactTo(Index index) { core_->CompactTo(index); }
bool Raft::HasEffects() const { return core_->HasEffects(); }
Effects Raft::TakeEffects() { return core_->TakeEffects(); }
Status Raft::status() const { return core_->status(); }
const Configuration& Raft::configuration() const { return core_->configuration(); }
std::optional<Entry> Raft::EntryAt(Index index) const { return core_->EntryAt(index); }

}  // namespace gavel::raft
