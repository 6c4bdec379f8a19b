// The flags as data: which are served, which are taken without effect, which are refused.
//
// Only for server/options*.cc.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "server/options.h"

namespace gavel::server {

enum class FlagKind {
  kValue,   // --flag=value or --flag value.
  kSwitch,  // --flag, --flag=true or --flag=false; never takes the next argument.
};

// Options on their way to being complete.
struct OptionsDraft {
  ServerOptions options;
  std::string initial_cluster;  // Read once the name is known.
  std::string auto_compaction_mode = "periodic";
  std::string auto_compaction_retention = "0";  // Means what the mode says.
  int64_t quota_bytes = 0;           // As etcd says it: 0 is the default, below 0 is none.
  std::set<std::string_view> given;  // Names of the flags that were set, however.
  std::vector<std::string> warnings;
};

// Where a value comes from decides how a bare number is read: durations in a file are
// nanoseconds.
enum class ValueSource { kFlag, kVariable, kFile };

struct Flag {
  std::string name;
  FlagKind kind = FlagKind::kValue;
  bool refused = false;  // What it asks for does not exist, and to go on would be less safe.
  // Puts a value into the draft. The error says what is wrong with the value.
  std::function<absl::Status(std::string_view text, ValueSource source, OptionsDraft& draft)> set;
  // The rest is for --help; a flag without a group is not listed by itself.
  std::string group;
  std::string default_text;
  std::string help;
};

// Every flag that is known, in the order of --help.
const std::vector<Flag>& AllFlags();

// Those whose features do not exist: taken with a warning, or refused where to go on without
// would be less safe than what was asked for.
std::vector<Flag> FlagsWithoutEffect();
std::vector<Flag> RefusedFlags();

// The text of --help.
std::string HelpText();

// Fills in what depends on other options, and checks the whole.
absl::Status CompleteOptions(OptionsDraft& draft);

}  // namespace gavel::server
