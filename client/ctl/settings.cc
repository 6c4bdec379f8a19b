#include "client/ctl/settings.h"

#include <algorithm>
#include <limits>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::string_view kNoDiscovery = "this release of gavelctl has no discovery";
constexpr std::string_view kPrefixes[] = {"GAVELCTL_", "ETCDCTL_"};

// gRPC for Go, which etcdctl is built on, asks no more often either; servers mind it.
constexpr std::chrono::milliseconds kKeepAliveTimeMin{10'000};

std::string VariableSuffix(std::string_view flag) {
  std::string name = ToUpper(flag);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

FlagSpec Refused(std::string_view name, FlagType type, std::string_view default_text,
                 std::string_view refusal) {
  FlagSpec flag{.name = name, .type = type, .default_text = default_text};
  flag.refusal = refusal;
  return flag;
}

std::optional<Format> ParseFormat(std::string_view text) {
  if (text == "simple") return Format::kSimple;
  if (text == "fields") return Format::kFields;
  if (text == "json") return Format::kJson;
  if (text == "table") return Format::kTable;
  if (text == "protobuf") return Format::kProtobuf;
  return std::nullopt;
}

std::vector<FlagSpec> MakeGlobalFlags() {
  std::vector<FlagSpec> flags = {
      {.name = "endpoints",
       .type = FlagType::kList,
       .default_text = "127.0.0.1:2379",
       .help = "Members to talk to: host:port,host:port,...",
       .value_name = "ENDPOINTS"},
      {.name = "write-out",
       .type = FlagType::kText,
       .default_text = "simple",
       .help = "Output format: simple, fields, json, table or protobuf.",
       .value_name = "FORMAT",
       .letter = 'w',
       .choices = {"simple", "fields", "json", "table", "protobuf"}},
      {.name = "hex",
       .type = FlagType::kSwitch,
       .help = "Write keys and values as \\xNN, and ids in hexadecimal."},
      {.name = "command-timeout",
       .type = FlagType::kDuration,
       .default_text = "5s",
       .help = "Time for each request, dialling included."},
      {.name = "dial-timeout",
       .type = FlagType::kDuration,
       .default_text = "2s",
       .help = "Time for a connection to any endpoint; 0s: that of the request."},
      {.name = "keepalive-time",
       .type = FlagType::kDuration,
       .default_text = "2s",
       .help = "Quiet time after which a connection is probed; 10s at least."},
      {.name = "keepalive-timeout",
       .type = FlagType::kDuration,
       .default_text = "6s",
       .help = "Time that a probe may go unanswered."},
      {.name = "max-request-bytes",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Largest request that is sent; 0: the servers decide.",
       .value_name = "BYTES"},
      {.name = "max-recv-bytes",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Largest answer that is taken; 0: any.",
       .value_name = "BYTES"},
      {.name = "max-input-bytes",
       .type = FlagType::kInteger,
       .default_text = "67108864",
       .help = "Most that is read from a file or standard input.",
       .value_name = "BYTES"},
      {.name = "debug",
       .type = FlagType::kSwitch,
       .help = "Show on standard error what is set, and how requests end."},
      {.name = "insecure-transport",
       .type = FlagType::kSwitch,
       .default_text = "true",
       .help = "Connect without TLS; the only way in this release.",
       .refusal = kNoTls},
      {.name = "insecure-skip-tls-verify",
       .type = FlagType::kSwitch,
       .help = "No effect without TLS."},
      {.name = "insecure-discovery",
       .type = FlagType::kSwitch,
       .default_text = "true",
       .help = "No effect without discovery."},
  };
  for (const std::string_view name : {"cacert", "cert", "key"}) {
    flags.push_back(Refused(name, FlagType::kText, "", kNoTls));
    flags.back().is_file = true;
  }
  for (const std::string_view name : {"user", "password", "auth-jwt-token"}) {
    flags.push_back(Refused(name, FlagType::kText, "", kNoUsers));
  }
  flags.push_back(Refused("discovery-srv", FlagType::kText, "", kNoDiscovery));
  flags.back().letter = 'd';
  flags.push_back(Refused("discovery-srv-name", FlagType::kText, "", kNoDiscovery));
  return flags;
}

}  // namespace

const std::vector<FlagSpec>& GlobalFlags() {
  static const std::vector<FlagSpec> flags = MakeGlobalFlags();
  return flags;
}

MaybeFailure ApplyEnvironment(const Environment& environment, FlagValues* values) {
  for (const FlagSpec& flag : GlobalFlags()) {
    if (values->given(flag.name)) continue;
    for (const std::string_view prefix : kPrefixes) {
      const std::string variable = std::string(prefix) + VariableSuffix(flag.name);
      const char* const text = environment(variable.c_str());
      if (text == nullptr || *text == 0) continue;
      if (MaybeFailure failure = values->Set(flag, text, variable)) return failure;
      break;
    }
  }
  return std::nullopt;
}

std::vector<std::string> UnknownVariables(const char* const* variables) {
  std::vector<std::string> unknown;
  for (; *variables != nullptr; ++variables) {
    const std::string name = Split(*variables, '=').front();
    for (const std::string_view prefix : kPrefixes) {
      if (name.substr(0, prefix.size()) != prefix || name == "ETCDCTL_API") continue;
      // Read by 'gavelctl watch'.
      const std::string suffix = name.substr(prefix.size());
      if (suffix == "WATCH_KEY" || suffix == "WATCH_RANGE_END") continue;
      const bool known =
          std::any_of(GlobalFlags().begin(), GlobalFlags().end(),
                      [&](const FlagSpec& flag) { return VariableSuffix(flag.name) == suffix; });
      if (!known) unknown.emplace_back(name);
    }
  }
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

MaybeFailure RefuseUnserved(const std::vector<FlagSpec>& flags, const FlagValues& values) {
  for (const FlagSpec& flag : flags) {
    if (flag.refusal.empty() || !values.given(flag.name)) continue;
    const bool harmless = flag.type == FlagType::kSwitch
                              ? values.Switch(flag.name) == (flag.default_text == "true")
                              : values.Text(flag.name) == flag.default_text;
    if (harmless) continue;
    return Failure{ExitCode::kBadFeature,
                   "--" + std::string(flag.name) + " is refused: " + std::string(flag.refusal),
                   "To go on without would be less safe than what you asked for."};
  }
  return std::nullopt;
}

Expected<Settings> ReadSettings(const FlagValues& values) {
  if (MaybeFailure failure = RefuseUnserved(GlobalFlags(), values)) return *std::move(failure);
  Settings settings;
  settings.endpoints = values.List("endpoints");
  if (settings.endpoints.empty()) {
    return BadArguments("no endpoint is named", "--endpoints takes host:port,host:port,...");
  }
  const int64_t input_bytes_max = values.Integer("max-input-bytes");
  if (input_bytes_max < 1) {
    return BadArguments("--max-input-bytes is " + std::to_string(input_bytes_max),
                        "It takes how many bytes may be read, 1 or more.");
  }
  ClientOptions& client = settings.client;
  client.request_bytes_max = values.Integer("max-request-bytes");
  const int64_t response_bytes_max = values.Integer("max-recv-bytes");
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (client.request_bytes_max < 0 || response_bytes_max < 0 || response_bytes_max > kMost) {
    return BadArguments("--max-request-bytes and --max-recv-bytes are 0 or more",
                        "0 is no limit; --max-recv-bytes is 2147483647 at most.");
  }
  client.response_bytes_max = static_cast<int32_t>(response_bytes_max);
  client.endpoints = settings.endpoints;
  client.timeout = values.Duration("command-timeout");
  if (client.timeout.count() == 0) {
    return BadArguments("--command-timeout is above 0s", "A request needs some time.");
  }
  // 0: no time of its own.
  const std::chrono::milliseconds whole = values.Milliseconds("command-timeout");
  client.dial_timeout =
      values.Duration("dial-timeout").count() == 0 ? whole : values.Milliseconds("dial-timeout");
  // Leaves a read the time to be asked of another member.
  client.silence_timeout =
      std::clamp(whole / 2, std::chrono::milliseconds(1), client.silence_timeout);
  client.keepalive_time = std::max(values.Milliseconds("keepalive-time"), kKeepAliveTimeMin);
  client.keepalive_timeout =
      std::max(values.Milliseconds("keepalive-timeout"), std::chrono::milliseconds(1));
  settings.format_text = values.Text("write-out");
  settings.format = ParseFormat(settings.format_text);
  settings.input_bytes_max = static_cast<size_t>(input_bytes_max);
  settings.hex = values.Switch("hex");
  settings.debug = values.Switch("debug");
  return settings;
}

std::vector<std::string> DescribeSettings(const FlagValues& values) {
  std::vector<std::string> lines;
  for (const FlagSpec& flag : GlobalFlags()) {
    lines.push_back("GAVELCTL_" + VariableSuffix(flag.name) + "=" + values.Text(flag.name));
  }
  return lines;
}

}  // namespace gavel::client::ctl
