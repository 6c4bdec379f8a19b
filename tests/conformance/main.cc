// gavel_conformance: sends the same operations to a fresh etcd and a fresh Gavel, in step, and
// compares every answer.
//
//   gavel_conformance --gaveld build/bin/gaveld [--etcd etcd] [--seed 1] [--operations 10000]
//       [--runs 1] [--members 1] [--streams] [--require-every-accepted] [--replay FILE]
//       [--shrink-seconds 120] [--plant OPERATION]
//
// The README says what the options do. Exit status 1: an answer differs, or an accepted difference
// was never met that should have been. 2: it could not be run.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/accepted.h"
#include "tests/conformance/run.h"
#include "tests/conformance/watch_exchange.h"

extern char** environ;

namespace gavel::conformance {
namespace {

struct MainOptions {
  RunOptions run;
  int64_t runs = 1;
  bool require_every_accepted = false;
  std::string replay_file;
  int64_t shrink_seconds = 120;
};

bool ParseNumber(std::string_view text, int64_t low, int64_t* number) {
  const std::string copy(text);
  char* end = nullptr;
  *number = std::strtoll(copy.c_str(), &end, 10);
  return !copy.empty() && *end == '\0' && *number >= low;
}

std::optional<MainOptions> Parse(int argc, char** argv) {
  MainOptions options;
  options.run.operations = 10000;
  options.run.programs.etcd = "etcd";
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--require-every-accepted") {
      options.require_every_accepted = true;
      continue;
    }
    if (name == "--streams") {
      options.run.streams = true;
      continue;
    }
    if (++i == argc) return std::nullopt;
    const std::string_view value = argv[i];
    int64_t number = 0;
    bool good = true;
    if (name == "--etcd") {
      options.run.programs.etcd = value;
    } else if (name == "--gaveld") {
      options.run.programs.gaveld = value;
    } else if (name == "--replay") {
      options.replay_file = value;
    } else if (name == "--seed") {
      good = ParseNumber(value, 0, &number);
      options.run.seed = static_cast<uint64_t>(number);
    } else if (name == "--operations") {
      good = ParseNumber(value, 1, &options.run.operations);
    } else if (name == "--runs") {
      good = ParseNumber(value, 1, &options.runs);
    } else if (name == "--members") {
      good = ParseNumber(value, 1, &number);
      options.run.members = static_cast<int>(number);
    } else if (name == "--shrink-seconds") {
      good = ParseNumber(value, 0, &options.shrink_seconds);
    } else if (name == "--plant") {
      good = ParseNumber(value, 0, &options.run.planted);
    } else {
      good = false;
    }
    if (!good) return std::nullopt;
  }
  if (options.run.programs.gaveld.empty()) return std::nullopt;
  return options;
}

// What a shell would start: a name without a slash is looked for in PATH.
std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  if (path == nullptr || name.find('/') != std::string::npos) return name;
  std::stringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

bool IsProgram(const std::string& path, const char* advice) {
  if (std::filesystem::is_regular_file(path) && access(path.c_str(), X_OK) == 0) return true;
  std::fprintf(stderr, "gavel_conformance: %s is not a program: %s\n", path.c_str(), advice);
  return false;
}

// Both would take their flags from here too.
void ForgetEtcdVariables() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("ETCD")) names.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names) unsetenv(name.c_str());
}

bool ReadReplay(const std::string& path, std::vector<Operation>* operations) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (file && FromLines(text.str(), operations) && !operations->empty()) return true;
  std::fprintf(stderr, "gavel_conformance: %s does not hold a sequence\n", path.c_str());
  return false;
}

void ReportFailure(const MainOptions& options, const RunOptions& run, const Failure& failure) {
  std::printf("DIFFERENCE at operation %lld of seed %llu\n%s",
              static_cast<long long>(failure.operation), static_cast<unsigned long long>(run.seed),
              failure.text.c_str());
  std::printf("again: gavel_conformance --etcd %s --gaveld %s --members %d%s",
              run.programs.etcd.c_str(), run.programs.gaveld.c_str(), run.members,
              run.streams ? " --streams" : "");
  if (options.replay_file.empty()) {
    std::printf(" --seed %llu --operations %lld", static_cast<unsigned long long>(run.seed),
                static_cast<long long>(failure.operation + 1));
  } else {
    std::printf(" --replay %s", options.replay_file.c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
  if (failure.sequence.empty() || run.planted >= 0) return;
  const Failure shortest = Shrink(run, failure, static_cast<int>(options.shrink_seconds));
  const std::string path = run.directory + "/shortest";
  std::ofstream(path) << ToLines(shortest.sequence);
  std::printf("shortest sequence found (%zu operations), for --replay %s:\n",
              shortest.sequence.size(), path.c_str());
  constexpr size_t kShown = 20;
  const size_t size = shortest.sequence.size();
  for (size_t i = size > kShown ? size - kShown : 0; i < size; ++i) {
    std::printf("  %zu. %s\n", i, Describe(shortest.sequence[i]).c_str());
  }
  std::printf("%s", shortest.text.c_str());
}

// Prints how often an accepted difference was met; false if it was not and should have been.
bool ReportRow(std::string_view name, std::string_view reason, int64_t hits, bool required) {
  std::printf("accepted %7lld times: %s (%s)\n", static_cast<long long>(hits),
              std::string(name).c_str(), std::string(reason).c_str());
  if (hits != 0 || !required) return true;
  std::printf("NEVER MET: \"%s\" is accepted for nothing; take it off the list\n",
              std::string(name).c_str());
  return false;
}

bool ReportAccepted(const MainOptions& options, const Hits& hits) {
  const bool streams = options.run.streams;
  bool all = true;
  size_t i = 0;
  for (const AcceptedDifference& row : AcceptedDifferences()) {
    const bool required = options.require_every_accepted && row.of_leases == streams;
    all &= ReportRow(row.name, row.reason, hits[i++], required);
  }
  if (!streams) return all;
  for (const AcceptedInStreams& row : AcceptedDifferencesInStreams()) {
    all &= ReportRow(row.name, row.reason, hits[i++], options.require_every_accepted);
  }
  return all;
}

void Add(const RunResult& result, int64_t* sent, SessionCounts* all) {
  *sent += result.sent;
  all->refused += result.counts.refused;
  all->changed_answers += result.counts.changed_answers;
  all->changed_streams += result.counts.changed_streams;
  all->events += result.counts.events;
  all->late += result.counts.late;
  for (size_t i = 0; i < result.counts.hits.size(); ++i) all->hits[i] += result.counts.hits[i];
}

// The exit status.
int RunAll(const MainOptions& options) {
  SessionCounts counts;
  counts.hits.resize(AcceptedDifferences().size() + AcceptedDifferencesInStreams().size());
  int64_t sent = 0;
  for (int64_t r = 0; r < options.runs; ++r) {
    RunOptions run = options.run;
    run.seed += static_cast<uint64_t>(r);
    run.operations =
        options.run.operations / options.runs + (r < options.run.operations % options.runs ? 1 : 0);
    const RunResult result = Run(run);
    Add(result, &sent, &counts);
    if (result.failure) {
      ReportFailure(options, run, *result.failure);
      if (run.planted >= 0) {
        std::filesystem::remove_all(run.directory);
      } else {
        std::printf("data and logs are kept in %s\n", run.directory.c_str());
      }
      return 1;
    }
  }
  const bool all_met = ReportAccepted(options, counts.hits);
  std::printf(
      "%lld operations on %d members each, %lld of them refused, no other difference; "
      "%lld answers changed on purpose, each found\n",
      static_cast<long long>(sent), options.run.members, static_cast<long long>(counts.refused),
      static_cast<long long>(counts.changed_answers));
  if (options.run.streams) {
    std::printf(
        "%lld events received on watch streams; %lld times what a stream received was changed on "
        "purpose, each found; %lld answers not judged, as a lease may have ended\n",
        static_cast<long long>(counts.events), static_cast<long long>(counts.changed_streams),
        static_cast<long long>(counts.late));
  }
  std::filesystem::remove_all(options.run.directory);
  return all_met ? 0 : 1;
}

int Main(int argc, char** argv) {
  std::optional<MainOptions> options = Parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: gavel_conformance --gaveld PATH [--etcd PATH] [--seed N] [--operations N] "
                 "[--runs N] [--members N] [--streams] [--require-every-accepted] [--replay FILE] "
                 "[--shrink-seconds N] [--plant OPERATION]\n");
    return 2;
  }
  options->run.programs.etcd = FindProgram(options->run.programs.etcd);
  if (!IsProgram(options->run.programs.etcd, "run deploy/install-deps --tests (etcd-server)") ||
      !IsProgram(options->run.programs.gaveld, "build gaveld first")) {
    return 2;
  }
  if (!options->replay_file.empty() && !ReadReplay(options->replay_file, &options->run.replay)) {
    return 2;
  }
  ForgetEtcdVariables();
  // What a disk takes to sync is of no interest here, and memory is faster.
  const std::filesystem::path memory = "/dev/shm";
  const bool use_memory = std::getenv("TMPDIR") == nullptr && access(memory.c_str(), W_OK) == 0;
  options->run.directory =
      ((use_memory ? memory : std::filesystem::temp_directory_path()) / "gavel-conformance-XXXXXX")
          .string();
  if (mkdtemp(options->run.directory.data()) == nullptr) {
    std::perror("gavel_conformance: mkdtemp");
    return 2;
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(options->run.seed));
  std::fflush(stdout);
  return RunAll(*options);
}

}  // namespace
}  // namespace gavel::conformance

int main(int argc, char** argv) { return gavel::conformance::Main(argc, argv); }
