#include "server/node/configuration_teller.h"

#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace gavel::server {
namespace {

std::string HexList(const std::vector<raft::NodeId>& ids) {
  return absl::StrJoin(ids, ",", [](std::string* out, raft::NodeId id) {
    absl::StrAppendFormat(out, "%x", id.value());
  });
}

const char* RoleOf(const raft::Configuration& configuration, raft::NodeId id) {
  return configuration.IsLearner(id) ? "learner" : "voter";
}

}  // namespace

void ConfigurationTeller::Tell(const raft::Configuration& configuration) {
  if (told_ == configuration) return;
  if (told_.has_value()) TellChanges(*told_, configuration);
  told_ = configuration;
  logger_.Info("configuration in force",
               {{"voters", HexList(configuration.voters)},
                {"outgoing voters", HexList(configuration.outgoing_voters)},
                {"members", configuration.members.size()}});
}

void ConfigurationTeller::TellChanges(const raft::Configuration& before,
                                      const raft::Configuration& now) {
  for (const raft::MemberAddress& member : now.members) {
    const raft::MemberAddress* const old = before.Find(member.id);
    const char* const role = RoleOf(now, member.id);
    if (old == nullptr) {
      TellOne("member added", member, {"role", role});
      continue;
    }
    const char* const old_role = RoleOf(before, member.id);
    if (std::string_view(role) != old_role) {
      TellOne(now.IsLearner(member.id) ? "member loses its vote" : "member promoted", member,
              {"role", role});
    }
    if (old->peer_urls != member.peer_urls) {
      TellOne("member's peer URLs changed", member,
              {"previous peer urls", absl::StrJoin(old->peer_urls, ",")});
    }
  }
  for (const raft::MemberAddress& member : before.members) {
    if (now.Find(member.id) == nullptr) {
      TellOne("member removed", member, {"role", RoleOf(before, member.id)});
    }
  }
}

void ConfigurationTeller::TellOne(std::string_view what, const raft::MemberAddress& member,
                                  const LogField& detail) {
  logger_.Info(what, {{"member", absl::StrFormat("%x", member.id.value())},
                      {"name", name_of_(member.id)},
                      {"peer urls", absl::StrJoin(member.peer_urls, ",")},
                      detail});
}

}  // namespace gavel::server
