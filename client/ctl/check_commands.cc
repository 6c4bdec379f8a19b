// check perf and datascale: loads of writes of etcdctl's sizes, and whether the cluster bears them,
// or what memory they take.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/load.h"
#include "client/ctl/metrics_page.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

struct Workload {
  std::string_view name;
  std::string_view long_name;
  int64_t writes_per_second;  // Of check perf.
  int64_t pairs;              // Of check datascale.
  int64_t clients;
};

constexpr Workload kWorkloads[] = {{"s", "small", 150, 10'000, 50},
                                   {"m", "medium", 1000, 100'000, 200},
                                   {"l", "large", 8000, 1'000'000, 500},
                                   {"xl", "xLarge", 15000, 3'000'000, 1000}};

// Of check datascale; etcdctl says that a pair has as much as both together.
constexpr size_t kPairBytes = 1024;
constexpr char kMemory[] = "process_resident_memory_bytes";

// As many writes are under way as etcdctl has clients; connections beyond these change nothing.
constexpr int64_t kConnectionsMax = 50;

// What a cluster must hold, in parts of the load and in seconds.
constexpr double kThroughputMin = 0.9;
constexpr double kSlowestMaxS = 0.5;
constexpr double kDeviationMaxS = 0.1;

constexpr std::chrono::seconds kCleanupTime{30};
// As long as it takes for millions of keys.
constexpr std::chrono::minutes kLongCleanupTime{10};

std::atomic<bool> interrupted{false};

void OnInterrupt(int) { interrupted = true; }

std::string Fixed(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%f", seconds);
  return text;
}

// Writes what went wrong; true if nothing did.
bool JudgeErrors(const LoadStatistics& found, Output* output) {
  if (found.errors.empty()) return true;
  output->Line("FAIL: too many errors");
  for (const auto& [message, count] : found.errors) {
    output->Line("FAIL: ERROR(" + message + ") -> " + std::to_string(count));
  }
  return false;
}

// Writes what was found; true if the cluster bears the load.
bool Judge(const LoadStatistics& found, int64_t wanted, Output* output) {
  bool pass = JudgeErrors(found, output);
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
MaybeFailure CleanUp(Session& session, const Client& client, const std::string& prefix,
                     std::chrono::seconds time) {
  const CallOptions patient{.timeout = time};
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

// A check that may begin: its load, its clients and the prefix that nobody uses.
struct Check {
  const Workload& workload;
  std::vector<Client> clients;
  std::string prefix;
};

Expected<Check> Begin(Session& session) {
  const std::string& load = session.flags().Text("load");
  const Workload* const workload = FindWorkload(load);
  if (workload == nullptr) {
    return Failure{ExitCode::kBadFeature, "unknown load option " + load, "It is s, m, l or xl."};
  }
  const std::string& prefix = session.flags().Text("prefix");
  if (prefix.empty()) return BadArguments("the prefix must not be empty: its keys are deleted");
  Expected<std::vector<Client>> clients =
      Connect(session.settings().client, std::min(workload->clients, kConnectionsMax));
  if (!clients.ok()) return clients.failure();
  if (MaybeFailure failure = CheckUnused(session, clients->front(), prefix)) {
    return *std::move(failure);
  }
  std::signal(SIGINT, &OnInterrupt);
  return Check{*workload, std::move(*clients), prefix};
}

// The memory of a member by its metrics; says why not if that cannot be read.
std::optional<double> ReadMemory(Session& session, const std::string& url, const char* when) {
  const Expected<double> bytes =
      ReadMetric(url, kMemory, session.flags().Milliseconds("command-timeout"));
  if (bytes.ok()) return *bytes;
  session.output().Line("FAIL: Could not read " + std::string(kMemory) + " " + when +
                        " the put operations.");
  session.output().Complain(bytes.failure().message);
  session.output().Complain(
      "Name the member's metrics with --metrics-url: Gavel tells them at its "
      "--listen-metrics-urls only.");
  return std::nullopt;
}

}  // namespace

MaybeFailure RunCheckPerf(Session& session) {
  const std::chrono::milliseconds duration = session.flags().Milliseconds("duration");
  if (duration.count() <= 0) return BadArguments("the duration must be above 0");
  const Expected<Check> check = Begin(session);
  if (!check.ok()) return check.failure();
  Output& output = session.output();
  const LoadPlan plan{.writes_per_second = check->workload.writes_per_second,
                      .under_way_max = check->workload.clients,
                      .duration = duration,
                      .prefix = check->prefix};
  const LoadStatistics found =
      RunLoad(plan, check->clients, interrupted, [&](int64_t second, int64_t) {
        output.Transient(std::to_string(second) + " s of " +
                         std::to_string(duration.count() / 1000) + " s");
      });
  output.Transient({});
  MaybeFailure failure = CleanUp(session, check->clients.front(), check->prefix, kCleanupTime);
  if (interrupted) return Failure{ExitCode::kInterrupted, "interrupted", {}};
  const bool pass = Judge(found, check->workload.writes_per_second, &output);
  if (failure) return failure;
  if (!pass) return Failure{ExitCode::kError, {}, {}};
  return std::nullopt;
}

MaybeFailure RunCheckDatascale(Session& session) {
  const std::string& named = session.flags().Text("metrics-url");
  const std::string url =
      named.empty() ? "http://" + AddressOf(session.settings().endpoints.front()) : named;
  const Expected<Check> check = Begin(session);
  if (!check.ok()) return check.failure();
  Output& output = session.output();
  const std::optional<double> before = ReadMemory(session, url, "before");
  if (!before) return Failure{ExitCode::kError, {}, {}};
  const Workload& workload = check->workload;
  output.Line("Start data scale check for work load [" + std::to_string(workload.pairs) +
              " key-value pairs, " + std::to_string(kPairBytes) + " bytes per key-value, " +
              std::to_string(workload.clients) + " concurrent clients].");
  output.Flush();
  const LoadPlan plan{.writes_max = workload.pairs,
                      .under_way_max = workload.clients,
                      .prefix = check->prefix,
                      .key_bytes = kPairBytes / 2,
                      .value_bytes = kPairBytes / 2};
  const LoadStatistics found =
      RunLoad(plan, check->clients, interrupted, [&](int64_t, int64_t writes) {
        output.Transient(std::to_string(writes) + " of " + std::to_string(workload.pairs) +
                         " pairs");
      });
  output.Transient({});
  const std::optional<double> after = ReadMemory(session, url, "after");
  MaybeFailure failure = CleanUp(session, check->clients.front(), check->prefix, kLongCleanupTime);
  if (interrupted) return Failure{ExitCode::kInterrupted, "interrupted", {}};
  const bool pass = JudgeErrors(found, &output) && after;
  if (pass) {
    char used[32];
    std::snprintf(used, sizeof used, "%.2f", (*after - *before) / (1024 * 1024));
    output.Line("PASS: Approximate system memory used : " + std::string(used) + " MB.");
  }
  if (failure) return failure;
  if (!pass) return Failure{ExitCode::kError, {}, {}};
  return std::nullopt;
}

}  // namespace gavel::client::ctl
