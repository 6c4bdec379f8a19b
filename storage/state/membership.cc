#include "storage/state/membership.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "storage/mvcc/varint.h"
#include "storage/state/meta.h"

namespace gavel::storage {
namespace {

// Of both rows.
constexpr uint64_t kRowFormat = 1;

constexpr uint64_t kLearner = 1;
constexpr uint64_t kLeaves = 2;

bool TakeId(std::string_view* in, raft::NodeId* id) {
  uint64_t value = 0;
  if (!TakeVarint(in, &value)) return false;
  *id = raft::NodeId(value);
  return true;
}

bool TakeWanted(std::string_view* in, WantedMember* member) {
  uint64_t flags = 0;
  uint64_t urls = 0;
  if (!TakeId(in, &member->id) || !TakeVarint(in, &flags) || flags > (kLearner | kLeaves) ||
      !TakeId(in, &member->replaced_by) || !TakeVarint(in, &urls)) {
    return false;
  }
  member->learner = (flags & kLearner) != 0;
  member->leaves = (flags & kLeaves) != 0;
  for (uint64_t i = 0; i < urls; ++i) {
    std::string_view url;
    if (!TakeBytes(in, &url)) return false;
    member->peer_urls.emplace_back(url);
  }
  return true;
}

bool SortedById(const std::vector<WantedMember>& members) {
  return std::adjacent_find(members.begin(), members.end(), [](const auto& a, const auto& b) {
           return a.id >= b.id;
         }) == members.end();
}

// Whether somebody who stays has one of `urls`, but for `self` and `gone`, whom `self` replaces.
template <class Urls>
bool UrlTaken(const Membership& membership, const Urls& urls, raft::NodeId self,
              raft::NodeId gone) {
  for (const WantedMember& member : membership.members) {
    if (member.id == self || member.id == gone || member.leaves) continue;
    for (const std::string& url : urls) {
      const auto& taken = member.peer_urls;
      if (std::find(taken.begin(), taken.end(), url) != taken.end()) return true;
    }
  }
  return false;
}

// `gone`: whom it replaces.
RequestError Add(const internal::AddedMember& added, raft::NodeId gone, Membership& membership) {
  const raft::NodeId id(added.id());
  if (id.is_none() || membership.Find(id) != nullptr || membership.WasRemoved(id)) {
    return RequestError::kMemberExists;
  }
  if (UrlTaken(membership, added.peer_urls(), id, gone)) return RequestError::kPeerUrlExists;
  WantedMember member;
  member.id = id;
  member.peer_urls.assign(added.peer_urls().begin(), added.peer_urls().end());
  member.learner = added.learner();
  auto& members = membership.members;
  members.insert(std::lower_bound(members.begin(), members.end(), id,
                                  [](const WantedMember& a, raft::NodeId b) { return a.id < b; }),
                 std::move(member));
  return RequestError::kNone;
}

RequestError Remove(raft::NodeId id, Membership& membership) {
  WantedMember* member = membership.Find(id);
  if (member == nullptr || member->leaves) return RequestError::kMemberNotFound;
  member->leaves = true;
  member->replaced_by = raft::NodeId();
  // Whom it was to replace stays.
  for (WantedMember& other : membership.members) {
    if (other.replaced_by == id) other.replaced_by = raft::NodeId();
  }
  return RequestError::kNone;
}

RequestError Replace(raft::NodeId id, raft::NodeId by, const raft::Configuration& configuration,
                     Membership& membership) {
  WantedMember* member = membership.Find(id);
  if (member == nullptr || member->leaves) return RequestError::kMemberNotFound;
  if (!member->replaced_by.is_none()) return RequestError::kMembershipUnderWay;
  if (configuration.Find(id) == nullptr) return Remove(id, membership);  // It never arrived.
  // A newcomer that is itself to replace somebody hands that on.
  for (WantedMember& other : membership.members) {
    if (other.replaced_by == id) other.replaced_by = by;
  }
  member->replaced_by = by;
  return RequestError::kNone;
}

RequestError Update(const internal::UpdatedMember& updated, Membership& membership) {
  const raft::NodeId id(updated.id());
  WantedMember* member = membership.Find(id);
  if (member == nullptr || member->leaves) return RequestError::kMemberNotFound;
  if (UrlTaken(membership, updated.peer_urls(), id, raft::NodeId())) {
    return RequestError::kPeerUrlExists;
  }
  member->peer_urls.assign(updated.peer_urls().begin(), updated.peer_urls().end());
  return RequestError::kNone;
}

RequestError Promote(raft::NodeId id, Membership& membership) {
  WantedMember* member = membership.Find(id);
  if (member == nullptr || member->leaves) return RequestError::kMemberNotFound;
  if (!member->learner) return RequestError::kMemberNotLearner;
  member->learner = false;
  return RequestError::kNone;
}

// A voter that has caught up must stay, or nobody could bring the others there.
bool VoterStays(const raft::Configuration& configuration, const Membership& membership) {
  return std::any_of(configuration.voters.begin(), configuration.voters.end(), [&](auto id) {
    const WantedMember* member = membership.Find(id);
    return member != nullptr && !member->leaves;
  });
}

RequestError CarryOut(const internal::ChangeMembers& change,
                      const raft::Configuration& configuration, Membership& next) {
  for (int i = 0; i < change.add_size(); ++i) {
    const raft::NodeId gone(i < change.remove_size() ? change.remove(i) : 0);
    if (const RequestError error = Add(change.add(i), gone, next); error != RequestError::kNone) {
      return error;
    }
  }
  for (int i = 0; i < change.remove_size(); ++i) {
    const raft::NodeId id(change.remove(i));
    const RequestError error =
        i < change.add_size() ? Replace(id, raft::NodeId(change.add(i).id()), configuration, next)
                              : Remove(id, next);
    if (error != RequestError::kNone) return error;
  }
  for (const internal::UpdatedMember& updated : change.update()) {
    if (const RequestError error = Update(updated, next); error != RequestError::kNone) {
      return error;
    }
  }
  for (const uint64_t id : change.promote()) {
    const RequestError error = Promote(raft::NodeId(id), next);
    if (error != RequestError::kNone) return error;
  }
  return VoterStays(configuration, next) ? RequestError::kNone : RequestError::kNotEnoughStarted;
}

}  // namespace

const WantedMember* Membership::Find(raft::NodeId id) const {
  const auto it = std::find_if(members.begin(), members.end(),
                               [id](const WantedMember& member) { return member.id == id; });
  return it == members.end() ? nullptr : &*it;
}

WantedMember* Membership::Find(raft::NodeId id) {
  return const_cast<WantedMember*>(std::as_const(*this).Find(id));
}

bool Membership::WasRemoved(raft::NodeId id) const {
  return std::binary_search(removed.begin(), removed.end(), id);
}

Membership AsConfigured(const raft::Configuration& configuration) {
  Membership membership;
  for (const raft::MemberAddress& member : configuration.members) {
    WantedMember& wanted = membership.members.emplace_back();
    wanted.id = member.id;
    wanted.peer_urls = member.peer_urls;
    wanted.learner = configuration.IsLearner(member.id);
  }
  return membership;
}

std::string EncodeMembership(const Membership& membership) {
  std::string bytes;
  AppendVarint(kRowFormat, &bytes);
  AppendVarint(membership.members.size(), &bytes);
  for (const WantedMember& member : membership.members) {
    AppendVarint(member.id.value(), &bytes);
    AppendVarint((member.learner ? kLearner : 0) | (member.leaves ? kLeaves : 0), &bytes);
    AppendVarint(member.replaced_by.value(), &bytes);
    AppendVarint(member.peer_urls.size(), &bytes);
    for (const std::string& url : member.peer_urls) AppendBytes(url, &bytes);
  }
  AppendVarint(membership.removed.size(), &bytes);
  for (const raft::NodeId id : membership.removed) AppendVarint(id.value(), &bytes);
  return bytes;
}

bool DecodeMembership(std::string_view bytes, Membership* membership) {
  membership->as_configured = false;
  uint64_t format = 0;
  uint64_t count = 0;
  if (!TakeVarint(&bytes, &format) || format != kRowFormat || !TakeVarint(&bytes, &count)) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    if (!TakeWanted(&bytes, &membership->members.emplace_back())) return false;
  }
  if (!SortedById(membership->members) || !TakeVarint(&bytes, &count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    if (!TakeId(&bytes, &membership->removed.emplace_back())) return false;
  }
  const auto& removed = membership->removed;
  return bytes.empty() && std::adjacent_find(removed.begin(), removed.end(),
                                             std::greater_equal<>()) == removed.end();
}

absl::StatusOr<Membership> ReadMembership(const Engine& engine,
                                          const raft::Configuration& configuration) {
  Membership membership;
  std::string row;
  if (absl::Status status = engine.Get(Family::kMeta, kMetaMembership, &row); status.ok()) {
    if (!DecodeMembership(row, &membership)) {
      return absl::DataLossError("meta: damaged membership");
    }
    return membership;
  } else if (!absl::IsNotFound(status)) {
    return status;
  }
  return AsConfigured(configuration);
}

RequestError ChangeMembership(const internal::ChangeMembers& change,
                              const raft::Configuration& configuration, Membership& membership) {
  Membership next = membership;
  const RequestError error = CarryOut(change, configuration, next);
  if (error != RequestError::kNone) return error;
  next.as_configured = false;
  SettleMembership(configuration, next);
  membership = std::move(next);
  return RequestError::kNone;
}

void SettleMembership(const raft::Configuration& configuration, Membership& membership) {
  if (membership.as_configured) {
    membership = AsConfigured(configuration);
    return;
  }
  std::erase_if(membership.members, [&](const WantedMember& member) {
    const bool to_go = member.leaves || !member.replaced_by.is_none();
    if (!to_go || configuration.Find(member.id) != nullptr) return false;
    auto& removed = membership.removed;
    removed.insert(std::lower_bound(removed.begin(), removed.end(), member.id), member.id);
    return true;
  });
}

absl::StatusOr<MemberTable> ReadFounding(const Engine& engine) {
  std::string row;
  if (absl::Status status = engine.Get(Family::kMeta, kMetaFounding, &row); !status.ok()) {
    return status;
  }
  const absl::Status damaged = absl::DataLossError("meta: damaged founding");
  std::string_view in = row;
  uint64_t format = 0;
  if (!TakeVarint(&in, &format) || format != kRowFormat) return damaged;
  MemberTable members;
  while (!in.empty()) {
    std::string_view key;
    std::string_view value;
    if (!TakeBytes(&in, &key) || !TakeBytes(&in, &value) ||
        !DecodeMember(key, value, &members.emplace_back())) {
      return damaged;
    }
  }
  return members;
}

void WriteFounding(const MemberTable& members, WriteBatch& batch) {
  std::string row;
  AppendVarint(kRowFormat, &row);
  for (const MemberRecord& member : members) {
    AppendBytes(MemberKey(member.id), &row);
    AppendBytes(EncodeMember(member), &row);
  }
  batch.Put(Family::kMeta, kMetaFounding, row);
}

}  // namespace gavel::storage
