// check perf: a load of writes of etcdctl's sizes, and whether the cluster bears it.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/load.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

struct Workload {
  std::string_view name;
  std::string_view long_name;
  int64_t writes_per_second;
  int64_t clients;
};

constexpr Workload kWorkloads[] = {{"s", "small", 150, 50},
                                   {"m", "medium", 1000, 200},
                                   {"l", "large", 8000, 500},
                                   {"xl", "xLarge", 15000, 1000}};

// As many writes are under way as etcdctl has clients; connections beyond these change nothing.
constexpr int64_t kConnectionsMax = 50;

// What a cluster must hold, in parts of the load and in seconds.
constexpr double kThroughputMin = 0.9;
constexpr double kSlowestMaxS = 0.5;
constexpr double kDeviationMaxS = 0.1;

constexpr std::chrono::seconds kCleanupTime{30};

std::atomic<bool> interrupted{false};

void OnInterrupt(int) { interrupted = true; }

std::string Fixed(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%f", seconds);
  return text;
}

// Writes what was found; true if the cluster bears the load.
bool Judge(const LoadStatistics& found, int64_t wanted, Output* output) {
  bool pass = found.errors.empty();
  if (!pass) output->Line("FAIL: too many errors");
  for (const auto& [message, count] : found.errors) {
    output->Line("FAIL: ERROR(" + message + ") -> " + std::to_string(count));
  }
  const std::string rate =
      std::to_string(static_cast<int64_t>(found.writes_per_second) + 1) + " writes/s";
  if (found.writes_per_second / static_cast<double>(wanted) <= kThroughputMin) {
    output->Line("FAIL: Throughput too low: " + rate);
    pass = false;
  } else {
    output->Line("PASS: Throughput is " + rate);
  }
  if (found.slowest_s > kSlowestMaxS) {
    output->Line("Slowest request took too long: " + Fixed(found.slowest_s) + "s");
    pass = false;
  } else {
    output->Line("PASS: Slowest request took " + Fixed(found.slowest_s) + "s");
  }
  if (found.deviation_s > kDeviationMaxS) {
    output->Line("Stddev too high: " + Fixed(found.deviation_s) + "s");
    pass = false;
  } else {
    output->Line("PASS: Stddev is " + Fixed(found.deviation_s) + "s");
  }
  output->Line(pass ? output->Paint(Colour::kGreen, "PASS") : output->Paint(Colour::kRed, "FAIL"));
  return pass;
}

// Deletes what the load has written.
MaybeFailure CleanUp(Session& session, const Client& client, const std::string& prefix) {
  const CallOptions patient{.timeout = kCleanupTime};
  const Expected<DeleteResponse> deleted =
      session.Take(client.kv().Delete(DeleteRequest{.range = KeyRange::Prefix(prefix)}, patient));
  if (!deleted.ok()) {
    Failure failure = deleted.failure();
    failure.message = "the keys of the check could not be deleted: " + failure.message;
    failure.hint = "Delete them with 'gavelctl del --prefix " + prefix + "'.";
    return failure;
  }
  Output& output = session.output();
  if (session.flags().Switch("auto-compact")) {
    const int64_t revision = deleted->header.revision;
    output.Line("Compacting with revision " + std::to_string(revision));
    const Expected<CompactResponse> compacted = session.Take(
        client.kv().Compact(CompactRequest{.revision = revision, .physical = true}, patient));
    if (!compacted.ok()) return compacted.failure();
    output.Line("Compacted with revision " + std::to_string(revision));
  }
  if (session.flags().Switch("auto-defrag")) {
    for (const std::string& endpoint : session.settings().endpoints) {
      output.Line("Defragmenting " + Quote(endpoint));
      const Expected<DefragmentResponse> done =
          session.Take(client.maintenance().Defragment(endpoint, patient));
      if (!done.ok()) return done.failure();
      output.Line("Defragmented " + Quote(endpoint));
    }
  }
  return std::nullopt;
}

MaybeFailure CheckUnused(Session& session, const Client& client, const std::string& prefix) {
  const Expected<RangeResponse> found = session.Take(client.kv().Range(
      RangeRequest{.range = KeyRange::Prefix(prefix), .limit = 1, .keys_only = true}));
  if (!found.ok()) return found.failure();
  if (found->kvs.empty()) return std::nullopt;
  return Failure{ExitCode::kInvalidInput, "prefix " + Quote(prefix) + " has keys",
                 "Delete them with 'gavelctl del --prefix " + prefix + "' first."};
}

const Workload* FindWorkload(std::string_view name) {
  for (const Workload& workload : kWorkloads) {
    if (workload.name == name || workload.long_name == name) return &workload;
  }
  return nullptr;
}

Expected<std::vector<Client>> Connect(const ClientOptions& options, int64_t count) {
  std::vector<Client> clients;
  for (int64_t i = 0; i < count; ++i) {
    Result<Client> created = Client::Create(options);
    if (!created.ok()) return FromStatus(created.status());
    clients.push_back(std::move(created).value());
  }
  return clients;
}

}  // namespace

MaybeFailure RunCheckPerf(Session& session) {
  const std::string& load = session.flags().Text("load");
  const Workload* const workload = FindWorkload(load);
  if (workload == nullptr) {
    return Failure{ExitCode::kBadFeature, "unknown load option " + load, "It is s, m, l or xl."};
  }
  const std::string& prefix = session.flags().Text("prefix");
  if (prefix.empty()) return BadArguments("the prefix must not be empty: its keys are deleted");
  const std::chrono::milliseconds duration = session.flags().Duration("duration");
  if (duration.count() <= 0) return BadArguments("the duration must be above 0");
  const Expected<std::vector<Client>> clients =
      Connect(session.settings().client, std::min(workload->clients, kConnectionsMax));
  if (!clients.ok()) return clients.failure();
  if (MaybeFailure failure = CheckUnused(session, clients->front(), prefix)) return failure;

  std::signal(SIGINT, &OnInterrupt);
  Output& output = session.output();
  const LoadPlan plan{.writes_per_second = workload->writes_per_second,
                      .under_way_max = workload->clients,
                      .duration = duration,
                      .prefix = prefix};
  const LoadStatistics found = RunLoad(plan, *clients, interrupted, [&](int64_t second) {
    if (!output.error_terminal()) return;
    output.Complain((second > 1 ? "\x1b[A\x1b[K" : "") + std::to_string(second) + " s of " +
                    std::to_string(duration.count() / 1000) + " s");
  });
  MaybeFailure failure = CleanUp(session, clients->front(), prefix);
  if (interrupted) return Failure{ExitCode::kInterrupted, "interrupted", {}};
  const bool pass = Judge(found, workload->writes_per_second, &output);
  if (failure) return failure;
  if (!pass) return Failure{ExitCode::kError, {}, {}};
  return std::nullopt;
}

}  // namespace gavel::client::ctl
