// defrag and move-leader.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr char kIdsShown[] = "'gavelctl member list' shows the ids.";

struct LeaderAt {
  std::string endpoint;
  uint64_t id = 0;
};

// The endpoint of those named that leads.
Expected<LeaderAt> FindLeader(Session& session, const Client& client) {
  const std::vector<std::string>& endpoints = session.settings().endpoints;
  MaybeFailure silent;
  for (const std::string& endpoint : endpoints) {
    const Expected<StatusResponse> status =
        session.Take(client.maintenance().Status(AddressOf(endpoint)));
    if (!status.ok()) {
      silent = status.failure();
    } else if (status->leader != 0 && status->leader == status->header.member_id) {
      return LeaderAt{endpoint, status->leader};
    }
  }
  if (silent) return *silent;
  return BadArguments("no leader endpoint given at [" + Join(endpoints, " ") + "]",
                      "'gavelctl endpoint status --cluster' shows who leads.");
}

}  // namespace

MaybeFailure RunDefrag(Session& session) {
  if (!session.arguments().empty()) {
    return BadArguments("this command takes no argument",
                        "Members are named by --endpoints, or all by --cluster.");
  }
  const Expected<std::vector<std::string>> endpoints = EndpointsToAsk(session);
  if (!endpoints.ok()) return endpoints.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  size_t failed = 0;
  for (const std::string& endpoint : *endpoints) {
    const auto start = std::chrono::steady_clock::now();
    const Expected<DefragmentResponse> response =
        session.Take((*client)->maintenance().Defragment(AddressOf(endpoint)));
    const std::string took =
        ". took " + FormatDuration(std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::steady_clock::now() - start));
    if (response.ok()) {
      session.output().Line("Finished defragmenting etcd member[" + endpoint + "]" + took);
    } else {
      ++failed;
      session.output().Complain("Failed to defragment etcd member[" + endpoint + "]" + took +
                                ". (" + response.failure().message + ")");
    }
  }
  if (failed == 0) return std::nullopt;
  return Failure{ExitCode::kError,
                 std::to_string(failed) + " of " + std::to_string(endpoints->size()) +
                     " endpoints did not defragment",
                 "Nothing is lost: run it again once they answer. Gavel's members need no "
                 "defragmentation."};
}

MaybeFailure RunMoveLeader(Session& session) {
  if (session.arguments().size() != 1) {
    return BadArguments("move-leader command needs 1 argument", kIdsShown);
  }
  const std::string& word = session.arguments()[0];
  const std::optional<uint64_t> target = ParseMemberId(word);
  if (!target) {
    return BadArguments("bad member ID arg (" + Quote(word) + "), expecting ID in Hex", kIdsShown);
  }
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<LeaderAt> leader = FindLeader(session, **client);
  if (!leader.ok()) return leader.failure();
  const Expected<MoveLeaderResponse> response = session.Take(
      (*client)->maintenance().MoveLeader(*target, AddressOf(leader->endpoint)), Effect::kWrites);
  if (!response.ok()) {
    Failure failure = response.failure();
    if (failure.message.find("bad leader transferee") != std::string::npos) {
      failure.hint = std::string("Only a voting member can lead. ") + kIdsShown;
    }
    return failure;
  }
  // The answer is empty, and so it is in protobuf.
  if (session.settings().format == Format::kSimple) {
    session.output().Line("Leadership transferred from " + Hex(leader->id) + " to " + Hex(*target));
  } else if (session.settings().format == Format::kJson) {
    session.output().Line("{}");
  }
  return std::nullopt;
}

}  // namespace gavel::client::ctl
