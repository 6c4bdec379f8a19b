#include "tests/sim/runner.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include "tests/sim/points.h"
#include "tests/sim/scripts.h"

namespace gavel::sim {
namespace {

constexpr size_t kTranscriptLines = 60;
// A run that takes longer than this and the time that it simulates hangs.
constexpr unsigned kHangSeconds = 120;
constexpr std::string_view kHangs = "the run hangs";
constexpr std::string_view kCheckFailed = "check failed: ";

// In a child: its world, for a check that fails in it, and where to report.
World* running = nullptr;
int report_to = -1;

// What the simulator cannot run without is no finding.
[[noreturn]] void GiveUp(const char* call) {
  std::fprintf(stderr, "gavel_sim: %s: %s\n", call, std::strerror(errno));
  std::exit(2);
}

void WriteAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(to, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::string ReadAll(int from) {
  std::string bytes;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(from, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(got));
  }
}

// Shared with the children, so that it outlives them. Its texts are constants of this program,
// which are at the same place in both.
TraceTail& SharedTail() {
  static TraceTail* const tail = [] {
    void* const memory =
        mmap(nullptr, sizeof(TraceTail), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) GiveUp("mmap");
    return new (memory) TraceTail;
  }();
  return *tail;
}

void OnFailedCheck(const char* text) {
  RunResult result;
  result.violation = text;
  std::replace(result.violation->begin(), result.violation->end(), '\n', ' ');
  if (running != nullptr) {
    result.figures = running->figures();
    result.figures.simulated_ns = running->now();
    result.digest = running->trace().digest();
    result.transcript = running->trace().Transcript(kTranscriptLines);
  }
  WriteAll(report_to, EncodeResult(result));
  std::fflush(stdout);
  _exit(0);
}

using Counts = std::map<std::string, uint64_t>;
constexpr std::pair<const char*, Counts Figures::*> kNamedCounts[] = {
    {"fault", &Figures::faults}, {"state", &Figures::sometimes}, {"longest", &Figures::longest}};

// One line: what it tells, a number, and for counts that have names the name.
bool DecodeLine(std::string_view line, RunResult& result) {
  const std::vector<std::string> parts = absl::StrSplit(std::string(line), absl::MaxSplits(' ', 2));
  if (parts[0] == "violation") {
    result.violation = line.substr(std::min(line.size(), parts[0].size() + 1));
    return true;
  }
  uint64_t number = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[1], &number)) return false;
  if (parts[0] == "digest") {
    result.digest = number;
  } else if (parts[0] == "simulated") {
    result.figures.simulated_ns = static_cast<int64_t>(number);
  } else if (parts[0] == "count" && parts.size() == 3) {
    size_t place = 0;
    if (!absl::SimpleAtoi(parts[2], &place) || place >= kFigureCounts.size()) return false;
    result.figures.*kFigureCounts[place] = number;
  } else {
    for (const auto& [kind, counts] : kNamedCounts) {
      if (parts[0] != kind || parts.size() < 3) continue;
      (result.figures.*counts)[parts[2]] = number;
      return true;
    }
    return false;
  }
  return true;
}

// Runs `seed` in this process. With `earlier`, compares the trace with that; with `all`, keeps it.
RunResult RunHere(uint64_t seed, const RunOptions& options, TraceTail& tail,
                  const std::vector<TraceEvent>* earlier, std::vector<TraceEvent>* all) {
  SetPlantedBug(options.planted);
  tail.count = 0;
  RunResult result;
  const Script* script = FindScript(options.script);
  World world(script != nullptr ? ScriptPlan(*script, seed)
                                : MakePlan(seed, options.duration, options.without));
  if (earlier != nullptr) world.trace().CompareWith(*earlier);
  if (all != nullptr) world.trace().KeepAllIn(*all);
  running = &world;
  result.violation =
      world.Run({.until = options.until, .trace = options.trace, .script = script, .tail = &tail});
  running = nullptr;
  if (!result.violation) result.violation = world.trace().Difference(/*ended=*/true);
  result.digest = world.trace().digest();
  result.figures = world.figures();
  if (result.violation) {
    result.transcript = world.trace().Transcript(kTranscriptLines);
    std::replace(result.violation->begin(), result.violation->end(), '\n', ' ');
  }
  return result;
}

RunResult RunTwiceHere(uint64_t seed, RunOptions options, TraceTail& tail) {
  std::vector<TraceEvent> all;
  RunResult result = RunHere(seed, options, tail, nullptr, &all);
  if (result.violation) return result;
  options.trace = false;
  RunResult second = RunHere(seed, options, tail, &all, nullptr);
  if (second.violation) return second;
  return result;
}

}  // namespace

std::string EncodeResult(const RunResult& result) {
  const Figures& figures = result.figures;
  std::string text =
      absl::StrCat("digest ", result.digest, "\nsimulated ", figures.simulated_ns, "\n");
  for (size_t place = 0; place < kFigureCounts.size(); ++place) {
    absl::StrAppend(&text, "count ", figures.*kFigureCounts[place], " ", place, "\n");
  }
  for (const auto& [kind, counts] : kNamedCounts) {
    for (const auto& [name, count] : figures.*counts) {
      absl::StrAppend(&text, kind, " ", count, " ", name, "\n");
    }
  }
  if (result.violation) absl::StrAppend(&text, "violation ", *result.violation, "\n");
  // An empty line ends what is known; the transcript has the rest.
  return absl::StrCat(text, "\n", result.transcript);
}

std::optional<RunResult> DecodeResult(std::string_view bytes) {
  RunResult result;
  for (;;) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (line.empty()) break;
    if (!DecodeLine(line, result)) return std::nullopt;
  }
  result.transcript = bytes;
  return result;
}

RunResult RunApart(unsigned seconds, const std::function<RunResult(TraceTail& tail)>& work) {
  TraceTail& tail = SharedTail();
  tail.count = 0;
  int ends[2];
  if (pipe(ends) != 0) GiveUp("pipe");
  std::fflush(stdout);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) GiveUp("fork");
  if (child == 0) {
    // It ends with its parent.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(ends[0]);
    report_to = ends[1];
    SetOnCheckFailed(OnFailedCheck);
    // Whoever started this may have ignored the signal, as git does for what it runs.
    std::signal(SIGALRM, SIG_DFL);
    alarm(seconds);
    WriteAll(report_to, EncodeResult(work(tail)));
    std::exit(0);  // With the sanitizers' last checks.
  }
  close(ends[1]);
  const std::string bytes = ReadAll(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::optional<RunResult> result = DecodeResult(bytes);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && result) return *std::move(result);
  RunResult broken;
  if (!WIFSIGNALED(status)) {
    broken.violation = absl::StrCat("the process ended with status ", WEXITSTATUS(status));
  } else if (WTERMSIG(status) == SIGALRM) {
    broken.violation =
        absl::StrCat(std::string(kHangs), ": it has not ended after ", seconds, " s");
  } else {
    broken.violation = absl::StrCat("the process died of signal ", WTERMSIG(status), " (",
                                    strsignal(WTERMSIG(status)), ")");
  }
  broken.transcript = tail.Transcript(kTranscriptLines);
  return broken;
}

RunResult RunSeed(uint64_t seed, const RunOptions& options) {
  const auto simulated = static_cast<unsigned>(options.duration / server::kNsPerSecond);
  const unsigned times = options.twice ? 2 : 1;
  return RunApart(times * (kHangSeconds + simulated), [&](TraceTail& tail) {
    return options.twice ? RunTwiceHere(seed, options, tail)
                         : RunHere(seed, options, tail, nullptr, nullptr);
  });
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
  if (options.twice) absl::StrAppend(&line, " --twice-every 1");
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

std::string KindOf(std::string_view violation) {
  if (violation.starts_with(kCheckFailed)) {
    return std::string(violation.substr(0, violation.find(": ", kCheckFailed.size())));
  }
  // Which invariant, with its number; then the words without theirs.
  const size_t colon = violation.find(": ");
  const bool named = colon != std::string_view::npos && colon <= 3 &&
                     std::isdigit(static_cast<unsigned char>(violation[0])) == 0;
  std::string kind(violation.substr(0, named ? colon : 0));
  constexpr size_t kCharacters = 48;
  for (const char c : violation.substr(kind.size())) {
    if (c == '"' || kind.size() == kCharacters) break;
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  }
  return kind;
}

RunOptions Shrink(uint64_t seed, RunOptions options, const std::string& violation, int tries) {
  // That takes minutes for each try.
  if (violation.find(kHangs) != std::string::npos) return options;
  const std::string kind = KindOf(violation);
  const auto fails = [&](const RunOptions& candidate) {
    if (tries-- <= 0) return false;
    const RunResult result = RunSeed(seed, candidate);
    return result.violation.has_value() && KindOf(*result.violation) == kind;
  };
  RunOptions candidate = options;
  candidate.without.network = true;
  if (fails(candidate)) options = candidate;
  const Plan plan = MakePlan(seed, options.duration);
  if (plan.point_share > 0) {
    candidate = options;
    candidate.without.points = true;
    if (fails(candidate)) options = candidate;
  }
  std::set<FaultKind> kinds;
  for (const Fault& fault : plan.faults) kinds.insert(fault.kind);
  for (const FaultKind one : kinds) {
    candidate = options;
    candidate.without.kinds.push_back(one);
    if (fails(candidate)) options = candidate;
  }
  const auto left_out = [&](size_t i) {
    const auto& without = options.without.kinds;
    return std::count(without.begin(), without.end(), plan.faults[i].kind) > 0;
  };
  // Then runs of single faults, halved each time (delta debugging).
  const size_t all = plan.faults.size();
  for (size_t run = all / 2; run > 0; run /= 2) {
    for (size_t from = 0; from < all && tries > 0; from += run) {
      candidate = options;
      auto& dropped = candidate.without.faults;
      for (size_t i = from; i < std::min(all, from + run); ++i) {
        if (!left_out(i) && std::count(dropped.begin(), dropped.end(), i) == 0) {
          dropped.push_back(i);
        }
      }
      if (dropped.size() > options.without.faults.size() && fails(candidate)) options = candidate;
    }
  }
  return options;
}

}  // namespace gavel::sim
