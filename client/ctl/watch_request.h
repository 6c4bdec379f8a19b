// What is to be watched, and which command runs at each change: from words, flags and variables.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/failure.h"
#include "client/ctl/flags.h"
#include "client/ctl/settings.h"
#include "client/watch.h"

namespace gavel::client::ctl {

const std::vector<FlagSpec>& WatchFlags();

// The key and the end of the range, if variables name them.
struct WatchDefaults {
  std::string key = {};
  std::string range_end = {};
};

// Reads GAVELCTL_WATCH_KEY and GAVELCTL_WATCH_RANGE_END, each in the place of ETCDCTL_'s.
Expected<WatchDefaults> ReadWatchDefaults(const Environment& environment);

struct WatchRequest {
  WatchOptions options = {};
  std::vector<std::string> command = {};  // Empty: changes are only written.
};

// `separator`: how many of the words stand before "--". All others are the command.
Expected<WatchRequest> ReadWatch(const FlagValues& flags, std::vector<std::string> words,
                                 std::optional<size_t> separator, const WatchDefaults& defaults);

// One line of an interactive watch, "watch [flags] key [range_end] [-- command ...]", as its words.
// Of a flag that is not understood, the failure is that of a command line. Requires: the first
// word, the command, is there.
Expected<WatchRequest> ReadWatchLine(std::vector<std::string> words, const WatchDefaults& defaults);

}  // namespace gavel::client::ctl
