#include "client/ctl/watch_request.h"

#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::string_view kBadNumber = "bad number of arguments";

// The variable of either program, ours first; empty if neither is set.
std::string Variable(const Environment& environment, const std::string& suffix) {
  for (const char* const prefix : {"GAVELCTL_", "ETCDCTL_"}) {
    const char* const text = environment((prefix + suffix).c_str());
    if (text != nullptr && *text != 0) return text;
  }
  return {};
}

}  // namespace

const std::vector<FlagSpec>& WatchFlags() {
  static const std::vector<FlagSpec> flags = {
      {.name = "interactive",
       .type = FlagType::kSwitch,
       .help = "Read what to watch from standard input, a line for each.",
       .letter = 'i'},
      {.name = "prefix", .type = FlagType::kSwitch, .help = "All keys that begin with <key>."},
      {.name = "rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "First revision to tell of, in the past or in the future; 0: from now on.",
       .value_name = "REVISION"},
      {.name = "prev-kv", .type = FlagType::kSwitch, .help = "Also write what was there before."},
      {.name = "progress-notify",
       .type = FlagType::kSwitch,
       .help = "Let the server say now and then that nothing has changed."},
  };
  return flags;
}

Expected<WatchDefaults> ReadWatchDefaults(const Environment& environment) {
  WatchDefaults defaults{.key = Variable(environment, "WATCH_KEY"),
                         .range_end = Variable(environment, "WATCH_RANGE_END")};
  if (defaults.key.empty() && !defaults.range_end.empty()) {
    return BadArguments("ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=" +
                        Quote(defaults.range_end));
  }
  return defaults;
}

Expected<WatchRequest> ReadWatch(const FlagValues& flags, std::vector<std::string> words,
                                 std::optional<size_t> separator, const WatchDefaults& defaults) {
  WatchRequest request;
  if (separator) {
    const auto behind = words.begin() + static_cast<ptrdiff_t>(*separator);
    request.command.assign(behind, words.end());
    words.erase(behind, words.end());
    if (request.command.empty()) {
      return BadArguments(std::string(kBadNumber) + " (found separator --, but no commands)");
    }
  }
  if (!defaults.key.empty()) {
    if (!words.empty()) {
      return BadArguments(std::string(kBadNumber) + " (found conflicting environment key)",
                          "Unset ETCDCTL_WATCH_KEY and GAVELCTL_WATCH_KEY, or name no key.");
    }
    words.push_back(defaults.key);
    if (!defaults.range_end.empty()) words.push_back(defaults.range_end);
  }
  if (words.empty() || words.size() > 2) {
    return BadArguments(std::string(kBadNumber),
                        "It is watch <key> [range_end] [-- command ...]. Every change is '' with "
                        "--prefix.");
  }
  const bool prefix = flags.Switch("prefix");
  if (words.size() == 2 && prefix) {
    return BadArguments("`range_end` and `--prefix` are mutually exclusive");
  }
  WatchOptions& options = request.options;
  options.range = words.size() == 2 ? KeyRange(words[0], words[1])
                  : prefix          ? KeyRange::Prefix(words[0])
                                    : KeyRange(words[0]);
  options.start_revision = flags.Integer("rev");
  options.prev_kv = flags.Switch("prev-kv");
  options.progress_notify = flags.Switch("progress-notify");
  return request;
}

Expected<WatchRequest> ReadWatchLine(std::vector<std::string> words,
                                     const WatchDefaults& defaults) {
  words.erase(words.begin());
  FlagReader reader(std::move(words));
  FlagValues flags;
  flags.AddDefaults(WatchFlags());
  std::vector<std::string> arguments;
  std::optional<size_t> separator;
  while (!reader.done()) {
    if (!reader.AtFlag()) {
      arguments.push_back(reader.TakeWord());
      continue;
    }
    bool help = false;
    MaybeFailure failure = reader.ReadFlag({&WatchFlags()}, &flags, &help);
    if (help) failure = BadArguments("--help has no place here", "See 'gavelctl watch --help'.");
    if (failure) {
      failure->code = ExitCode::kBadArguments;
      return *std::move(failure);
    }
    if (reader.flags_ended()) separator = arguments.size();
  }
  return ReadWatch(flags, std::move(arguments), separator, defaults);
}

}  // namespace gavel::client::ctl
