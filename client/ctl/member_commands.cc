// member add, remove, update, promote, replace and list.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/peer_urls.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr char kIdsShown[] = "'gavelctl member list' shows the ids.";
constexpr char kUrlsShown[] = "Give them with --peer-urls=http://host:2380,...";

Expected<uint64_t> ReadMemberId(const std::string& word) {
  if (const std::optional<uint64_t> id = ParseMemberId(word)) return *id;
  return BadArguments("bad member ID arg (" + Quote(word) + "), expecting ID in Hex", kIdsShown);
}

// The id that is the only argument.
Expected<uint64_t> OnlyMemberId(const Session& session) {
  if (session.arguments().size() != 1) return BadArguments("member ID is not provided", kIdsShown);
  return ReadMemberId(session.arguments()[0]);
}

Expected<std::vector<std::string>> GivenPeerUrls(const Session& session) {
  const std::string& text = session.flags().Text("peer-urls");
  if (text.empty()) return BadArguments("member peer urls not provided", kUrlsShown);
  return ReadPeerUrls(text);
}

// A word too many is often a URL without its flag.
Failure TooManyArguments(const std::vector<std::string>& words) {
  std::string message = "too many arguments";
  for (const std::string& word : words) {
    if (ToUpper(word).starts_with("HTTP")) message += ", did you mean --peer-urls=" + word;
  }
  return BadArguments(std::move(message), kUrlsShown);
}

// The variables with which the server of the new member is to be started.
void WriteVariables(Session& session, const std::string& name, const MemberChange& change) {
  if (session.settings().format.value_or(Format::kSimple) != Format::kSimple) return;
  std::vector<std::string> cluster;
  for (const Member& member : change.members) {
    const std::string& known_as = member.id == change.member->id ? name : member.name;
    for (const std::string& url : member.peer_urls) cluster.push_back(known_as + "=" + url);
  }
  session.output().Line("");
  session.output().Line("ETCD_NAME=" + Quote(name));
  session.output().Line("ETCD_INITIAL_CLUSTER=" + Quote(Join(cluster, ",")));
  session.output().Line("ETCD_INITIAL_ADVERTISE_PEER_URLS=" +
                        Quote(session.flags().Text("peer-urls")));
  session.output().Line("ETCD_INITIAL_CLUSTER_STATE=\"existing\"");
}

}  // namespace

MaybeFailure RunMemberAdd(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  if (words.empty()) {
    return BadArguments("member name not provided",
                        "It is the --name that the new member's server is started with.");
  }
  if (words.size() > 1) return TooManyArguments(words);
  const Expected<std::vector<std::string>> urls = GivenPeerUrls(session);
  if (!urls.ok()) return urls.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const MemberRole role =
      session.flags().Switch("learner") ? MemberRole::kLearner : MemberRole::kVoter;
  const Expected<MemberAddResponse> response =
      session.Take((*client)->cluster().MemberAdd(*urls, role), Effect::kWrites);
  if (!response.ok()) return response.failure();
  const MemberChange change{.id = response->member.id,
                            .what = "added to",
                            .header = response->header,
                            .member = response->member,
                            .members = response->members};
  session.printer().MemberChanged(change);
  WriteVariables(session, words[0], change);
  return std::nullopt;
}

MaybeFailure RunMemberRemove(Session& session) {
  const Expected<uint64_t> id = OnlyMemberId(session);
  if (!id.ok()) return id.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<MemberRemoveResponse> response =
      session.Take((*client)->cluster().MemberRemove(*id), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().MemberChanged({.id = *id,
                                   .what = "removed from",
                                   .header = response->header,
                                   .members = response->members});
  return std::nullopt;
}

MaybeFailure RunMemberUpdate(Session& session) {
  const Expected<uint64_t> id = OnlyMemberId(session);
  if (!id.ok()) return id.failure();
  const Expected<std::vector<std::string>> urls = GivenPeerUrls(session);
  if (!urls.ok()) return urls.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<MemberUpdateResponse> response =
      session.Take((*client)->cluster().MemberUpdate(*id, *urls), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().MemberChanged(
      {.id = *id, .what = "updated in", .header = response->header, .members = response->members});
  return std::nullopt;
}

MaybeFailure RunMemberPromote(Session& session) {
  const Expected<uint64_t> id = OnlyMemberId(session);
  if (!id.ok()) return id.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<MemberPromoteResponse> response =
      session.Take((*client)->cluster().MemberPromote(*id), Effect::kWrites);
  if (!response.ok()) return response.failure();
  session.printer().MemberChanged(
      {.id = *id, .what = "promoted in", .header = response->header, .members = response->members});
  return std::nullopt;
}

MaybeFailure RunMemberReplace(Session& session) {
  const std::vector<std::string>& words = session.arguments();
  if (words.size() > 2) return TooManyArguments(words);
  if (words.size() < 2) {
    return BadArguments(words.empty() ? "member ID is not provided" : "member name not provided",
                        "Give the id of the member that goes, then the --name that the new "
                        "member's server is started with.");
  }
  const Expected<uint64_t> id = ReadMemberId(words[0]);
  if (!id.ok()) return id.failure();
  const Expected<std::vector<std::string>> urls = GivenPeerUrls(session);
  if (!urls.ok()) return urls.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  Result<MemberReplaceResponse> result = (*client)->cluster().MemberReplace(*id, *urls);
  const bool served = result.status().reason() != Reason::kNotServed;
  const Expected<MemberReplaceResponse> response = session.Take(std::move(result), Effect::kWrites);
  if (!response.ok()) {
    Failure failure = response.failure();
    if (!served) {
      failure.hint +=
          " Without it: 'gavelctl member remove' of the old one, then "
          "'gavelctl member add' of the new one.";
    }
    return failure;
  }
  const MemberChange change{.id = *id,
                            .what = "replaced by " + Hex(response->member.id) + " in",
                            .header = response->header,
                            .member = response->member,
                            .members = response->members};
  session.printer().MemberChanged(change);
  WriteVariables(session, words[1], change);
  return std::nullopt;
}

MaybeFailure RunMemberList(Session& session) {
  if (!session.arguments().empty()) {
    return BadArguments("this command takes no argument", "It lists all members of the cluster.");
  }
  const std::string& consistency = session.flags().Text("consistency");
  if (consistency != "l" && consistency != "s") {
    return Failure{ExitCode::kBadFeature, "unknown consistency flag \"" + consistency + "\"",
                   "It is l (linearizable) or s (serializable)."};
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<MemberListResponse> response =
      session.Take((*client)->cluster().MemberList(consistency == "l"));
  if (!response.ok()) return response.failure();
  session.printer().MemberList(*response);
  return std::nullopt;
}

}  // namespace gavel::client::ctl
