#include "server/rpc/member_checks.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "server/url.h"
#include "storage/state/membership.h"

namespace gavel::server {
namespace {

constexpr size_t Quorum(size_t voters) { return voters / 2 + 1; }

// The voters of the cluster, those asked for included.
struct Voters {
  size_t wanted = 0;
  size_t started = 0;
  size_t voting = 0;     // As applied.
  size_t connected = 0;  // Of these, with this member.
};

bool HasStarted(const std::vector<storage::MemberRecord>& members, raft::NodeId id) {
  return std::any_of(members.begin(), members.end(), [id](const storage::MemberRecord& member) {
    return member.id == id && !member.name.empty();
  });
}

bool IsConnected(const Gate& gate, const ServiceLimits& limits, raft::NodeId id) {
  if (id == gate.member_id()) return true;
  const std::optional<MonotonicNs> time = gate.ConnectedFor(id);
  return time.has_value() && *time >= limits.connected_min;
}

// Without `but`, where what is wanted is counted.
Voters Count(const Gate& gate, const ServiceLimits& limits, raft::NodeId but = {}) {
  Voters voters;
  const auto members = gate.members();
  const auto wanted = gate.membership();
  for (const storage::WantedMember& member : wanted->members) {
    if (member.learner || member.leaves || member.id == but) continue;
    ++voters.wanted;
    if (HasStarted(*members, member.id)) ++voters.started;
  }
  for (const storage::MemberRecord& member : *members) {
    if (member.learner) continue;
    ++voters.voting;
    if (IsConnected(gate, limits, member.id)) ++voters.connected;
  }
  return voters;
}

}  // namespace

std::optional<Error> CheckPeerUrls(const UrlList& urls, std::vector<std::string>* texts) {
  for (const std::string& text : urls) {
    const absl::StatusOr<Url> url = ParseUrl(text);
    if (!url.ok()) return Error::kBadMemberUrls;
    texts->push_back(url->Text());
  }
  if (texts->empty()) return Error::kBadMemberUrls;
  std::sort(texts->begin(), texts->end());
  return std::nullopt;
}

std::optional<Error> CheckAdd(const Gate& gate, const ServiceLimits& limits,
                              const std::vector<std::string>& urls, bool learner) {
  if (limits.strict_reconfig_check) {
    const Voters voters = Count(gate, limits);
    // The second member of a cluster of one may be asked for before the first has company.
    const bool first_two = voters.started == 1 && voters.wanted == 2;
    if (!learner && !first_two && voters.started < Quorum(voters.wanted)) {
      return Error::kNotEnoughStarted;
    }
    // The new one counts as one that is down; alone, a member is its own quorum until then.
    const size_t needed = voters.voting == 1 ? 1 : Quorum(voters.voting + 1);
    if (voters.connected < needed) return Error::kUnhealthy;
  }
  if (!learner) return std::nullopt;
  const auto wanted = gate.membership();
  // The state looks at the addresses of all, but would be asked too late for who asks for both.
  for (const storage::WantedMember& member : wanted->members) {
    for (const std::string& url : urls) {
      if (!member.leaves && std::ranges::count(member.peer_urls, url) > 0) {
        return Error::kPeerUrlExists;
      }
    }
  }
  const auto learners = std::count_if(
      wanted->members.begin(), wanted->members.end(),
      [](const storage::WantedMember& member) { return member.learner && !member.leaves; });
  if (learners >= static_cast<int64_t>(limits.learners_max)) return Error::kTooManyLearners;
  return std::nullopt;
}

std::optional<Error> CheckRemove(const Gate& gate, const ServiceLimits& limits, raft::NodeId id) {
  const auto wanted = gate.membership();
  const storage::WantedMember* const member = std::as_const(*wanted).Find(id);
  if (!limits.strict_reconfig_check || member == nullptr || member->learner) return std::nullopt;
  const Voters left = Count(gate, limits, id);
  if (left.wanted == 0 || left.started < Quorum(left.wanted)) return Error::kNotEnoughStarted;
  const auto members = gate.members();
  const bool votes = std::any_of(
      members->begin(), members->end(),
      [id](const storage::MemberRecord& known) { return known.id == id && !known.learner; });
  // Who is down is no part of the quorum as it is.
  if (!votes || !IsConnected(gate, limits, id)) return std::nullopt;
  if (left.connected - 1 < Quorum(left.voting - 1)) return Error::kUnhealthy;
  return std::nullopt;
}

std::optional<Error> CheckPromote(const Gate& gate, const ServiceLimits& limits, raft::NodeId id) {
  if (!limits.strict_reconfig_check) return std::nullopt;
  const Voters voters = Count(gate, limits, id);
  if (voters.started + 1 < Quorum(voters.wanted + 1)) return Error::kNotEnoughStarted;
  return std::nullopt;
}

std::optional<Error> CheckReplace(const Gate& gate, const ServiceLimits& limits) {
  if (!limits.strict_reconfig_check) return std::nullopt;
  const Voters voters = Count(gate, limits);
  if (voters.connected < Quorum(voters.voting)) return Error::kUnhealthy;
  return std::nullopt;
}

}  // namespace gavel::server
