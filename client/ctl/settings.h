// The global flags: where to connect, how long to wait, how to write.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/flags.h"
#include "client/options.h"

namespace gavel::client::ctl {

enum class Format : uint8_t { kSimple = 1, kFields = 2, kJson = 4, kTable = 8, kProtobuf = 16 };

const std::vector<FlagSpec>& GlobalFlags();

// Looks a variable up; the process's is std::getenv.
using Environment = std::function<const char*(const char*)>;

// Fills in global flags that were not given from GAVELCTL_NAME or, if that is not set, from
// ETCDCTL_NAME. An empty variable is none.
MaybeFailure ApplyEnvironment(const Environment& environment, FlagValues* values);

// The variables of either prefix that name no flag, to be warned of. ETCDCTL_API is
// none of them, nor are those of 'gavelctl watch'.
std::vector<std::string> UnknownVariables(const char* const* variables);

struct Settings {
  ClientOptions client;
  std::vector<std::string> endpoints;  // As they were written.
  std::optional<Format> format;        // Nothing: not one of the known ones.
  std::string format_text;
  size_t input_bytes_max = 0;  // Of what a command reads from a file or standard input.
  bool hex = false;
  bool debug = false;
};

// Refuses what this release cannot do: TLS, users, discovery.
Expected<Settings> ReadSettings(const FlagValues& values);

// The refusals of this release, for flags.
inline constexpr std::string_view kNoTls = "this release of gavelctl has no TLS";
inline constexpr std::string_view kNoUsers = "this release of gavelctl cannot log in";

// Refuses the first of the flags that has a refusal and any value but its default.
MaybeFailure RefuseUnserved(const std::vector<FlagSpec>& flags, const FlagValues& values);

// What --debug shows: every global flag as its variable.
std::vector<std::string> DescribeSettings(const FlagValues& values);

}  // namespace gavel::client::ctl
