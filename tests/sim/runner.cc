#include "tests/sim/runner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "tests/sim/points.h"
#include "tests/sim/scripts.h"

namespace gavel::sim {
namespace {

constexpr size_t kTranscriptLines = 60;
// A run in a child that takes longer hangs: that is a finding too.
constexpr unsigned kHangSeconds = 300;

// The world of this process, for a check that fails in it.
World* running = nullptr;
const RunOptions* running_options = nullptr;
int report_to = -1;

void WriteAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(to, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// What a child tells its parent: time, digest, number of faults, violation, transcript.
std::string Encode(const RunResult& result) {
  return absl::StrCat(result.at, " ", result.digest, " ", result.faults, "\n",
                      result.violation.value_or(""), "\n", result.transcript);
}

RunResult Broken(const char* what) {
  RunResult result;
  result.violation = what;
  return result;
}

RunResult Decode(const std::string& bytes) {
  RunResult result;
  const size_t line = bytes.find('\n');
  if (line == std::string::npos) {
    result.violation = "the process ended without a word";
    return result;
  }
  unsigned long long digest = 0;
  long long at = 0;
  unsigned long long faults = 0;
  std::sscanf(bytes.c_str(), "%lld %llu %llu", &at, &digest, &faults);
  result.at = at;
  result.digest = digest;
  result.faults = faults;
  const size_t end = bytes.find('\n', line + 1);
  const std::string violation = bytes.substr(line + 1, end - line - 1);
  if (!violation.empty()) result.violation = violation;
  if (end != std::string::npos) result.transcript = bytes.substr(end + 1);
  return result;
}

void OnFailedCheck(const char* text) {
  if (running == nullptr) return;
  RunResult result;
  result.violation = text;
  result.at = running->now();
  result.digest = running->trace().digest();
  result.faults = running->plan().faults.size();
  result.transcript = running->trace().Transcript(kTranscriptLines);
  if (report_to < 0) {
    std::printf("seed %llu: %s\n%s", static_cast<unsigned long long>(running->plan().seed), text,
                result.transcript.c_str());
    std::printf("repeat it with: %s --trace\n",
                CommandLine(running->plan().seed, *running_options).c_str());
    std::fflush(stdout);
    return;
  }
  WriteAll(report_to, Encode(result));
  _exit(0);
}

}  // namespace

RunResult RunSeed(uint64_t seed, const RunOptions& options) {
  SetPlantedBug(options.planted);
  SetOnCheckFailed(OnFailedCheck);
  RunResult result;
  {
    const Script* script = FindScript(options.script);
    World world(script != nullptr ? ScriptPlan(*script, seed)
                                  : MakePlan(seed, options.duration, options.without));
    running = &world;
    running_options = &options;
    result.violation =
        world.Run({.until = options.until, .trace = options.trace, .script = script});
    running = nullptr;
    result.at = world.now();
    result.digest = world.trace().digest();
    result.faults = world.plan().faults.size();
    result.figures = world.figures();
    if (result.violation) {
      result.transcript = world.trace().Transcript(kTranscriptLines);
      std::replace(result.violation->begin(), result.violation->end(), '\n', ' ');
    }
  }
  SetPlantedBug(0);
  return result;
}

RunResult RunSeedApart(uint64_t seed, const RunOptions& options) {
  int ends[2];
  if (pipe(ends) != 0) return Broken("no pipe");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) return Broken("no process");
  if (child == 0) {
    close(ends[0]);
    report_to = ends[1];
    alarm(kHangSeconds);
    WriteAll(ends[1], Encode(RunSeed(seed, options)));
    _exit(0);
  }
  close(ends[1]);
  std::string bytes;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(ends[0], buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    bytes.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    RunResult result;
    result.violation = WTERMSIG(status) == SIGALRM
                           ? "the run hangs"
                           : absl::StrCat("the process died of signal ", WTERMSIG(status));
    return result;
  }
  return Decode(bytes);
}

std::string CommandLine(uint64_t seed, const RunOptions& options) {
  std::string line = absl::StrFormat("gavel_sim --seed %d", seed);
  if (options.script.empty()) {
    absl::StrAppendFormat(&line, " --duration %g",
                          static_cast<double>(options.duration) / server::kNsPerSecond);
  } else {
    absl::StrAppend(&line, " --script ", options.script);
  }
  if (options.planted != 0) absl::StrAppend(&line, " --planted ", options.planted);
  for (const FaultKind kind : options.without.kinds) {
    absl::StrAppend(&line, " --without ", std::string(FaultName(kind)));
  }
  if (options.without.network) absl::StrAppend(&line, " --without frames");
  if (options.without.points) absl::StrAppend(&line, " --without points");
  for (const size_t fault : options.without.faults) absl::StrAppend(&line, " --drop ", fault);
  if (options.until != kNever) {
    absl::StrAppendFormat(&line, " --until %.6f",
                          static_cast<double>(options.until) / server::kNsPerSecond);
  }
  return line;
}

RunOptions Shrink(uint64_t seed, RunOptions options, int tries) {
  const auto fails = [&](const RunOptions& candidate) {
    if (tries-- <= 0) return false;
    return RunSeedApart(seed, candidate).violation.has_value();
  };
  RunOptions candidate = options;
  candidate.without.network = true;
  if (fails(candidate)) options = candidate;
  candidate = options;
  candidate.without.points = true;
  if (fails(candidate)) options = candidate;
  for (int k = 0; k < kFaultKinds; ++k) {
    candidate = options;
    candidate.without.kinds.push_back(static_cast<FaultKind>(k));
    if (fails(candidate)) options = candidate;
  }
  // Then runs of single faults, halved each time (delta debugging).
  const size_t all = MakePlan(seed, options.duration).faults.size();
  for (size_t run = all / 2; run > 0; run /= 2) {
    for (size_t from = 0; from < all && tries > 0; from += run) {
      candidate = options;
      for (size_t i = from; i < std::min(all, from + run); ++i) {
        auto& dropped = candidate.without.faults;
        if (std::count(dropped.begin(), dropped.end(), i) == 0) dropped.push_back(i);
      }
      if (fails(candidate)) options = candidate;
    }
  }
  // Single faults of kinds that are left out need not be named.
  const Plan plan = MakePlan(seed, options.duration);
  std::erase_if(options.without.faults, [&](size_t i) {
    const auto& kinds = options.without.kinds;
    return std::count(kinds.begin(), kinds.end(), plan.faults[i].kind) > 0;
  });
  return options;
}

}  // namespace gavel::sim
