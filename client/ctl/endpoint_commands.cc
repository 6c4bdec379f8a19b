// endpoint health, status and hashkv.
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/session.h"

namespace gavel::client::ctl {
namespace {

constexpr char kByEndpoints[] = "Members are named by --endpoints, or all by --cluster.";
constexpr char kWhereNoAnswer[] =
    "Start those members, or look into their logs; the cluster serves as long as more than half of "
    "its members run. If the addresses are wrong, name the right ones with --endpoints.";

MaybeFailure RefuseArguments(const Session& session) {
  if (session.arguments().empty()) return std::nullopt;
  return BadArguments("this command takes no argument", kByEndpoints);
}

// Asks each endpoint in turn and has `print` write the answers; those that do not answer are named
// on standard error.
template <class Response>
MaybeFailure AskEach(Session& session, const std::string& what, auto ask, auto print) {
  const Expected<std::vector<std::string>> endpoints = EndpointsToAsk(session);
  if (!endpoints.ok()) return endpoints.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  std::vector<AtEndpoint<Response>> answers;
  MaybeFailure last;
  for (const std::string& endpoint : *endpoints) {
    Expected<Response> response = session.Take(ask((*client)->maintenance(), AddressOf(endpoint)));
    if (response.ok()) {
      answers.push_back({endpoint, *std::move(response)});
    } else {
      last = response.failure();
      session.output().Complain("Failed to get the " + what + " of endpoint " + endpoint + " (" +
                                last->message + ")");
    }
  }
  print(answers);
  if (!last || last->code == ExitCode::kBadArguments) return last;
  return Failure{ExitCode::kError,
                 std::to_string(endpoints->size() - answers.size()) + " of " +
                     std::to_string(endpoints->size()) + " endpoints gave no " + what,
                 last->code == ExitCode::kBadConnection ? kWhereNoAnswer : last->hint};
}

}  // namespace

MaybeFailure RunEndpointHealth(Session& session) {
  if (MaybeFailure failure = RefuseArguments(session)) return failure;
  const Expected<std::vector<std::string>> endpoints = EndpointsToAsk(session);
  if (!endpoints.ok()) return endpoints.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  std::vector<AtEndpoint<HealthResponse>> list(endpoints->size());
  std::vector<std::jthread> askers;
  for (size_t i = 0; i < endpoints->size(); ++i) {
    list[i].endpoint = (*endpoints)[i];
    // All at once: one silent member must not make the others wait.
    askers.emplace_back([&, i] {
      list[i].response = (*client)->maintenance().Health(AddressOf(list[i].endpoint));
    });
  }
  askers.clear();
  session.printer().EndpointHealth(list);
  for (const auto& [endpoint, health] : list) {
    if (!health.healthy) {
      return Failure{ExitCode::kError, "unhealthy cluster",
                     "See what each member knows with 'gavelctl endpoint status --cluster', and "
                     "start those that do not answer."};
    }
  }
  return std::nullopt;
}

MaybeFailure RunEndpointStatus(Session& session) {
  if (MaybeFailure failure = RefuseArguments(session)) return failure;
  return AskEach<StatusResponse>(
      session, "status",
      [](const Maintenance& maintenance, std::string endpoint) {
        return maintenance.Status(std::move(endpoint));
      },
      [&](const auto& answers) { session.printer().EndpointStatus(answers); });
}

MaybeFailure RunEndpointHashKv(Session& session) {
  if (MaybeFailure failure = RefuseArguments(session)) return failure;
  const int64_t revision = session.flags().Integer("rev");
  return AskEach<HashKvResponse>(
      session, "hash",
      [&](const Maintenance& maintenance, std::string endpoint) {
        return maintenance.HashKv(std::move(endpoint), revision);
      },
      [&](const auto& answers) { session.printer().EndpointHashKv(answers); });
}

}  // namespace gavel::client::ctl
