// gavel_sim: runs whole clusters in simulated time, each from one seed.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "tests/sim/planted_bugs.h"
#include "tests/sim/planted_run.h"
#include "tests/sim/runner.h"
#include "tests/sim/scripts.h"
#include "tests/sim/seed_file.h"

namespace gavel::sim {
namespace {

struct Arguments {
  uint64_t seed = 0;
  uint64_t seeds = 1;
  double real_seconds = 0;
  double duration = 40;
  double until = 0;
  std::string planted;
  int rotate = 0;
  uint64_t planted_seeds = 200;
  std::string table;
  std::vector<std::string> without;
  std::vector<size_t> drop;
  std::string seeds_file;
  std::string hashes_file;
  std::string keep_file;
  std::string script;
  uint64_t twice_every = 64;
  bool write_hashes = false;
  bool trace = false;
  bool shrink = false;
  bool every_state = false;
};

// Rare states that a long run must reach: where one is missing, the run has gone blind.
constexpr const char* kStates[] = {
    "a bit of an older segment changed",
    "a compaction overtook a watcher that was behind",
    "a disk failed at a point",
    "a disk was full",
    "a disk was full when a segment was made",
    "a forwarded proposal was dropped",
    "a lease expired right after a change of the leader",
    "a lease that was due was renewed",
    "a lease was refused because its id was in use",
    "a link was full",
    "a log that cannot be read was refused",
    "a member came back with an old copy",
    "a member came back with nothing",
    "a member crashed while it started",
    "a member stopped because of its disk",
    "a member stopped because of its engine",
    "a member that came back with less was refused",
    "a proposal was forwarded",
    "a quorum was down at once",
    "a renewal found no lease",
    "a renewal was lost",
    "a snapshot took the place of a state",
    "a stage ran while watchers were being told",
    "a stream of several chunks",
    "a stream that was full went on",
    "a stream went on after its client had read",
    "a term had three candidates",
    "a vote was granted",
    "a vote was refused",
    "a vote was torn",
    "a watch from the future",
    "a watch was canceled by a compaction",
    "a watch was refused",
    "a watcher went on elsewhere where it was",
    "a write of unknown outcome was carried out",
    "a write of unknown outcome was sent again as another",
    "a write was dropped for certain",
    "all members were down at once",
    "an I/O thread ran beside a stage",
    "an append did not fit",
    "an expiry under way met a lease that had ended",
    "an expiry under way was overtaken by a renewal",
    "crash at a point",
    "crash between disk operations",
    "damage on the disk was refused",
    "late frames of a life that has ended were refused",
    "leadership was handed over",
    "progress was asked for and told",
    "progress was told by itself",
    "the engine may lose what it has applied",
    "two stages of a member ran at once",
};

void PrintFailure(uint64_t seed, const RunOptions& options, const RunResult& result, bool shrink) {
  std::printf("\nseed %llu: %s\n%s", static_cast<unsigned long long>(seed),
              result.violation->c_str(), Describe(MakePlan(seed, options.duration)).c_str());
  std::printf("the last events:\n%s", result.transcript.c_str());
  std::printf("repeat it with: %s --trace\n", CommandLine(seed, options).c_str());
  if (!shrink) return;
  const RunOptions small = Shrink(seed, options, *result.violation, 150);
  const RunResult less = RunSeed(seed, small);
  const size_t faults = MakePlan(seed, options.duration, options.without).faults.size();
  const size_t needed = MakePlan(seed, options.duration, small.without).faults.size();
  std::printf("less is enough, %llu of %llu faults: %s --trace\n%s\nits last events:\n%s",
              static_cast<unsigned long long>(needed), static_cast<unsigned long long>(faults),
              CommandLine(seed, small).c_str(), less.violation.value_or("no violation").c_str(),
              less.transcript.c_str());
}

// Time of a core that this process and its children have used.
double CoreSeconds() {
  double seconds = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
  }
  return seconds;
}

void PrintFigures(const Figures& figures, uint64_t seeds, int bad, double took) {
  const double simulated = static_cast<double>(figures.simulated_ns) / server::kNsPerSecond;
  std::printf("%llu seeds, %d with a violation\n", static_cast<unsigned long long>(seeds), bad);
  // What other processes take of the core does not count.
  const double used = CoreSeconds();
  std::printf(
      "%.0f simulated s in %.1f s, %.1f s of a core: %.0f simulated seconds a second; %llu "
      "events\n",
      simulated, took, used, simulated / used, static_cast<unsigned long long>(figures.events));
  std::printf(
      "%llu entries committed, %llu writes acknowledged, %llu of unknown outcome, %llu "
      "reads, %llu states compared; %llu watches were told %llu events; %llu "
      "leases, of which %llu expired, %llu renewals\n",
      static_cast<unsigned long long>(figures.entries),
      static_cast<unsigned long long>(figures.writes),
      static_cast<unsigned long long>(figures.unknown_writes),
      static_cast<unsigned long long>(figures.reads),
      static_cast<unsigned long long>(figures.states_compared),
      static_cast<unsigned long long>(figures.watches),
      static_cast<unsigned long long>(figures.watch_events),
      static_cast<unsigned long long>(figures.leases),
      static_cast<unsigned long long>(figures.leases_expired),
      static_cast<unsigned long long>(figures.renewals));
  std::printf("faults:");
  for (const auto& [name, count] : figures.faults) {
    std::printf(" %s %llu;", name.c_str(), static_cast<unsigned long long>(count));
  }
  std::printf("\nat most:");
  for (const auto& [name, length] : figures.longest) {
    std::printf(" %s %llu;", name.c_str(), static_cast<unsigned long long>(length));
  }
  std::printf("\nrare states:\n");
  for (const auto& [name, count] : figures.sometimes) {
    std::printf("  %8llu  %s\n", static_cast<unsigned long long>(count), name.c_str());
  }
}

// Compares the digests of traces with those in the file, or writes them.
int Hashes(const Arguments& arguments, const RunOptions& options) {
  constexpr uint64_t kSeeds = 20;
  std::ostringstream text;
  text << "gavel_sim traces, version 2, " << arguments.duration << " s";
  const std::string version = text.str();
  text << "\n";
  std::ostringstream known;
  if (arguments.write_hashes) {
    if (!CanBeWritten(arguments.hashes_file)) return 2;
  } else {
    std::ifstream file(arguments.hashes_file);
    if (!file) return Usage(arguments.hashes_file + ": cannot be read");
    known << file.rdbuf();
    const std::string first = known.str().substr(0, known.str().find('\n'));
    if (first != version) {
      return Usage(arguments.hashes_file + ": has \"" + first + "\", this is \"" + version +
                   "\": give the same --duration, or write the traces anew with --write-hashes");
    }
  }
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const RunResult result = RunSeed(seed, options);
    if (result.violation) {
      PrintFailure(seed, options, result, false);
      return 1;
    }
    text << seed << " " << std::hex << result.digest << std::dec << "\n";
  }
  if (arguments.write_hashes) {
    std::ofstream file(arguments.hashes_file);
    file << text.str();
    return file.flush() ? 0 : Usage(arguments.hashes_file + ": cannot be written");
  }
  if (known.str() == text.str()) {
    std::printf("%llu traces are as recorded\n", static_cast<unsigned long long>(kSeeds));
    return 0;
  }
  std::printf("traces differ from %s; this build gives:\n%s", arguments.hashes_file.c_str(),
              text.str().c_str());
  return 1;
}

bool TakeWithout(const Arguments& arguments, Without& without) {
  for (const std::string& name : arguments.without) {
    if (name == "frames") {
      without.network = true;
    } else if (name == "points") {
      without.points = true;
    } else if (const FaultKind kind = FaultFromName(name); kind != FaultKind::kCount) {
      without.kinds.push_back(kind);
    } else {
      Usage("--without: no kind of fault is called " + name);
      return false;
    }
  }
  without.faults = arguments.drop;
  return true;
}

// Each script, or the one named, as the members are: nothing may be found.
int RunScripts(const Arguments& arguments, RunOptions options) {
  int bad = 0;
  int ran = 0;
  for (const Script& script : Scripts()) {
    if (arguments.script != "all" && arguments.script != script.name) continue;
    ++ran;
    options.script = script.name;
    for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; ++seed) {
      const RunResult result = RunSeed(seed, options);
      if (!result.violation) continue;
      ++bad;
      std::printf("script %s: %s\nthe last events:\n%srepeat it with: %s --trace\n",
                  options.script.c_str(), result.violation->c_str(), result.transcript.c_str(),
                  CommandLine(seed, options).c_str());
    }
  }
  if (ran == 0) {
    std::string names;
    for (const Script& script : Scripts()) names += ", " + std::string(script.name);
    return Usage("--script: none is called " + arguments.script + "; there are all" + names);
  }
  std::printf("%d scripts, %d with a violation\n", ran, bad);
  return bad > 0 ? 1 : 0;
}

// The planted bugs that are named; none for "all".
bool TakePlanted(const std::string& named, std::vector<int>& bugs) {
  if (named == "all") return true;
  const auto all = PlantedBugs();
  const std::vector<std::string> parts = absl::StrSplit(named, ',');
  for (const std::string& part : parts) {
    int bug = 0;
    if (!absl::SimpleAtoi(part, &bug)) {
      Usage("--planted: not a number: " + part + " (give all, or numbers with commas)");
      return false;
    }
    const bool known = std::any_of(all.begin(), all.end(),
                                   [bug](const PlantedBug& it) { return it.number == bug; });
    if (!known) {
      Usage("--planted: there is no bug " + part + "; see tests/sim/MUTANTS.md");
      return false;
    }
    bugs.push_back(bug);
  }
  return true;
}

// Days since 1970: all runs of a day try the same, and every day something else.
uint64_t Today() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                               std::chrono::hours(24));
}

int Planted(const Arguments& arguments, std::vector<int> bugs, const RunOptions& options) {
  const auto all = PlantedBugs();
  const auto day = static_cast<size_t>(Today());
  const auto rotated = static_cast<size_t>(arguments.rotate);
  for (size_t place = day * rotated; bugs.size() < rotated; ++place) {
    const PlantedBug& bug = all[place % all.size()];
    if (!bug.rare) bugs.push_back(bug.number);
  }
  const int survivors =
      RunPlanted(bugs, arguments.seed, arguments.planted_seeds, options, arguments.table);
  return survivors > 0 ? 1 : 0;
}

int Swarm(const Arguments& arguments, const RunOptions& options) {
  std::vector<KeptSeed> seeds;
  if (!arguments.seeds_file.empty()) {
    if (!ReadSeeds(arguments.seeds_file, seeds)) return 2;
    if (seeds.empty()) return Usage(arguments.seeds_file + ": holds no seed");
  }
  const auto began = std::chrono::steady_clock::now();
  const auto took = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  Figures total;
  int bad = 0;
  uint64_t count = 0;
  uint64_t twice = 0;
  const auto run = [&](uint64_t seed, RunOptions with) {
    ++count;
    with.twice = arguments.twice_every > 0 && count % arguments.twice_every == 0;
    const RunResult result = RunSeed(seed, with);
    total.Add(result.figures);
    if (with.twice) ++twice;
    if (!result.violation) return;
    ++bad;
    PrintFailure(seed, with, result, arguments.shrink);
    if (arguments.keep_file.empty()) return;
    const double duration = static_cast<double>(with.duration) / server::kNsPerSecond;
    KeepSeed(arguments.keep_file, {seed, duration}, *result.violation);
  };
  for (const KeptSeed& kept : seeds) {
    RunOptions as_kept = options;
    if (kept.duration > 0) {
      as_kept.duration = static_cast<int64_t>(kept.duration * server::kNsPerSecond);
    }
    run(kept.seed, as_kept);
  }
  if (seeds.empty()) {
    for (uint64_t i = 0; i < arguments.seeds || took() < arguments.real_seconds; ++i) {
      run(arguments.seed + i, options);
    }
  }
  std::printf("from seed %llu on, ", static_cast<unsigned long long>(arguments.seed));
  PrintFigures(total, count, bad, took());
  std::printf("%llu seeds were run twice, with one trace each\n",
              static_cast<unsigned long long>(twice));
  int missing = 0;
  for (const char* state : kStates) {
    if (!arguments.every_state || total.sometimes.contains(state)) continue;
    std::printf("never reached: %s\n", state);
    ++missing;
  }
  return bad > 0 || missing > 0 ? 1 : 0;
}

// Seconds from `min` to `max`; CLI::Range lets through what is not a number.
CLI::Validator Seconds(double min, double max) {
  CLI::Validator validator;
  validator.description("SECONDS");
  return validator.operation([min, max](const std::string& text) {
    double seconds = 0;
    const bool number = absl::SimpleAtod(text, &seconds);
    if (number && seconds >= min && seconds <= max) return std::string();
    return absl::StrCat(text, ": not a number of seconds from ", min, " to ", max);
  });
}

void AddOptions(CLI::App& app, Arguments& arguments) {
  constexpr double kShort = 0.001;
  constexpr uint64_t kSeedsMax = 1'000'000'000;
  app.add_option("--seed", arguments.seed, "the first seed (default: another every day)");
  auto* const seeds = app.add_option("--seeds", arguments.seeds, "how many seeds to run")
                          ->check(CLI::Range(uint64_t{1}, kSeedsMax));
  app.add_option("--seconds", arguments.real_seconds, "go on for so many seconds of real time")
      ->check(Seconds(0, 1'000'000));
  app.add_option("--duration", arguments.duration, "simulated seconds with faults, per seed")
      ->check(Seconds(kShort, kDurationMax));
  auto* const until = app.add_option("--until", arguments.until, "stop at this simulated second")
                          ->check(Seconds(kShort, 2 * kDurationMax));
  auto* const without =
      app.add_option("--without", arguments.without, "leave out a kind of fault, frames or points");
  auto* const drop =
      app.add_option("--drop", arguments.drop, "leave out single faults of the plan, by number")
          ->excludes(seeds);
  auto* const planted =
      app.add_option("--planted", arguments.planted, "numbers of planted bugs to catch, or all");
  auto* const rotate = app.add_option("--rotate", arguments.rotate,
                                      "catch so many planted bugs (at most 20), others each day")
                           ->check(CLI::Range(1, 20))
                           ->excludes(planted)
                           ->excludes(seeds);
  app.add_option("--planted-seeds", arguments.planted_seeds, "seeds to try on each")
      ->check(CLI::Range(uint64_t{1}, kSeedsMax));
  app.add_option("--table", arguments.table, "write what caught them to this file");
  auto* const file = app.add_option("--seeds-file", arguments.seeds_file,
                                    "run the seeds in this file, each as long as it says")
                         ->excludes(seeds)
                         ->excludes(drop);
  auto* const hashes =
      app.add_option("--hashes", arguments.hashes_file, "compare 20 traces with this file")
          ->excludes(seeds);
  app.add_option("--keep", arguments.keep_file, "add seeds that fail to this file");
  app.add_option("--script", arguments.script, "run this script, or all, instead of plans")
      ->excludes(until)
      ->excludes(without)
      ->excludes(drop)
      ->excludes(file)
      ->excludes(hashes);
  app.add_option("--twice-every", arguments.twice_every,
                 "run every so many seeds one twice and compare the traces; 0: none");
  app.add_flag("--write-hashes", arguments.write_hashes, "write that file")->needs(hashes);
  app.add_flag("--trace", arguments.trace, "print every event")->excludes(rotate);
  app.add_flag("--shrink", arguments.shrink, "look for fewer faults that still fail");
  app.add_flag("--every-state", arguments.every_state, "fail unless all rare states are reached");
}

bool DropsWhatIsThere(const RunOptions& options, uint64_t seed) {
  const size_t faults = MakePlan(seed, options.duration).faults.size();
  for (const size_t fault : options.without.faults) {
    if (fault < faults) continue;
    Usage(absl::StrCat("--drop ", fault, ": the plan of seed ", seed, " has ", faults,
                       " faults, numbered from 0; give its --seed and --duration"));
    return false;
  }
  return true;
}

int Run(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs whole clusters in simulated time, each from one seed."};
  AddOptions(app, arguments);
  CLI11_PARSE(app, argc, argv);
  RunOptions options;
  options.duration = static_cast<int64_t>(arguments.duration * server::kNsPerSecond);
  options.trace = arguments.trace;
  if (arguments.until > 0) {
    options.until = static_cast<int64_t>(arguments.until * server::kNsPerSecond);
  }
  if (!TakeWithout(arguments, options.without)) return 2;
  if (app.count("--seed") == 0) arguments.seed = Today() * 1'000'000;
  if (!DropsWhatIsThere(options, arguments.seed)) return 2;
  std::vector<int> bugs;
  const bool named = app.count("--planted") > 0;
  if (named && !TakePlanted(arguments.planted, bugs)) return 2;
  const bool hunt = arguments.rotate > 0 || named;
  if (!arguments.table.empty()) {
    if (!hunt) return Usage("--table: nothing is caught without --planted or --rotate");
    if (!CanBeWritten(arguments.table)) return 2;
  }
  if (!arguments.hashes_file.empty()) return Hashes(arguments, options);
  if (!arguments.keep_file.empty()) {
    std::vector<KeptSeed> kept;
    if (!ReadSeeds(arguments.keep_file, kept) || !CanBeWritten(arguments.keep_file)) return 2;
  }
  // One bug over seeds that are named is a swarm like any other.
  const bool swarm = app.count("--seeds") > 0 || arguments.trace || !arguments.script.empty() ||
                     !arguments.seeds_file.empty();
  if (hunt && !swarm) return Planted(arguments, bugs, options);
  if (hunt && bugs.size() != 1) {
    return Usage(
        "--planted: give one number with --seeds, --seeds-file, --script or --trace; without them "
        "as many as you like are caught");
  }
  if (hunt) options.planted = bugs[0];
  if (!arguments.script.empty()) return RunScripts(arguments, options);
  return Swarm(arguments, options);
}

}  // namespace
}  // namespace gavel::sim

int main(int argc, char** argv) { return gavel::sim::Run(argc, argv); }
