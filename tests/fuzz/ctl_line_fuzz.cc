// gavelctl's command line, variables and values: an error says something, and what was understood
// can be written down and understood again.
#include <map>
#include <string>
#include <vector>

#include "client/ctl/command.h"
#include "client/ctl/settings.h"
#include "client/ctl/text.h"
#include "client/ctl/watch_request.h"
#include "raft/check.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using client::ctl::Base64;
using client::ctl::CommandLine;
using client::ctl::CountCharacters;
using client::ctl::Environment;
using client::ctl::Expected;
using client::ctl::Failure;
using client::ctl::FlagValues;
using client::ctl::FormatDuration;
using client::ctl::FromBase64;
using client::ctl::GlobalFlags;
using client::ctl::Hex;
using client::ctl::IsUtf8;
using client::ctl::Join;
using client::ctl::MaybeFailure;
using client::ctl::ParseDuration;
using client::ctl::ParseInteger;
using client::ctl::Quote;
using client::ctl::ReadCommandLine;
using client::ctl::ReadWatchDefaults;
using client::ctl::SafeText;
using client::ctl::Settings;
using client::ctl::Split;
using client::ctl::UnknownVariables;
using client::ctl::Unquote;
using client::ctl::WatchDefaults;
using client::ctl::WatchRequest;

enum Kind { kCommandLine, kVariables, kText, kValues, kKinds };

void CheckFailure(const Failure& failure) {
  GAVEL_CHECK(!failure.message.empty()) << "an error without a word";
}

void CheckSettings(const FlagValues& flags) {
  const Expected<Settings> settings = ReadSettings(flags);
  if (!settings.ok()) return CheckFailure(settings.failure());
  GAVEL_CHECK(!settings->endpoints.empty() && settings->client.timeout.count() > 0);
  GAVEL_CHECK(settings->client.dial_timeout.count() > 0 && settings->input_bytes_max > 0);
}

void OneCommandLine(std::string_view text) {
  Expected<CommandLine> line = ReadCommandLine(Split(text, '\n'));
  if (!line.ok()) return CheckFailure(line.failure());
  GAVEL_CHECK(line->help || line->path.back()->run != nullptr);
  GAVEL_CHECK(!line->separator || *line->separator <= line->arguments.size());
  CheckSettings(line->flags);
  if (line->path.back()->name == "watch" && !line->help) {
    const Expected<WatchRequest> watch =
        ReadWatch(line->flags, line->arguments, line->separator, {});
    if (!watch.ok()) CheckFailure(watch.failure());
  }
}

void OneEnvironment(std::string_view text) {
  std::map<std::string, std::string> variables;
  std::vector<std::string> entries;
  for (const std::string& line : Split(text, '\n')) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos || line.find('\0') != std::string::npos) continue;
    variables.emplace(line.substr(0, equals), line.substr(equals + 1));
    entries.push_back(line);
  }
  FlagValues flags;
  flags.AddDefaults(GlobalFlags());
  const Environment environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  if (const MaybeFailure failure = ApplyEnvironment(environment, &flags)) {
    CheckFailure(*failure);
  } else {
    CheckSettings(flags);
  }
  const Expected<WatchDefaults> defaults = ReadWatchDefaults(environment);
  if (!defaults.ok()) CheckFailure(defaults.failure());
  std::vector<const char*> pointers;
  for (const std::string& entry : entries) pointers.push_back(entry.c_str());
  pointers.push_back(nullptr);
  GAVEL_CHECK(UnknownVariables(pointers.data()).size() <= entries.size());
}

void OneText(std::string_view text) {
  size_t position = 0;
  const std::string quoted = Quote(text);
  GAVEL_CHECK(IsUtf8(quoted)) << quoted;
  GAVEL_CHECK(Unquote(quoted, &position) == text && position == quoted.size()) << quoted;
  position = 0;
  if (const auto read = Unquote(text, &position)) {
    GAVEL_CHECK(position <= text.size() && read->size() <= position);
  } else {
    GAVEL_CHECK(position == 0);
  }
  GAVEL_CHECK(FromBase64(Base64(text)) == text);
  if (const auto bytes = FromBase64(text)) GAVEL_CHECK(FromBase64(Base64(*bytes)) == bytes);
  for (const bool multi_line : {false, true}) {
    const std::string safe = SafeText(text, multi_line);
    for (const char c : safe) {
      const auto byte = static_cast<unsigned char>(c);
      GAVEL_CHECK(byte >= 0x20 || (multi_line && (c == '\n' || c == '\t'))) << safe;
      GAVEL_CHECK(byte != 0x7f) << safe;
    }
    GAVEL_CHECK(IsUtf8(safe) && SafeText(safe, multi_line) == safe) << safe;
  }
  GAVEL_CHECK(CountCharacters(text) <= text.size());
  GAVEL_CHECK(Join(Split(text, ','), ",") == text);
}

void OneValue(std::string_view text) {
  for (const int base : {10, 16}) {
    const auto number = ParseInteger(text, base);
    if (number && base == 10) GAVEL_CHECK(ParseInteger(std::to_string(*number)) == number);
    if (number && base == 16 && *number >= 0) {
      GAVEL_CHECK(ParseInteger(Hex(static_cast<uint64_t>(*number)), 16) == number);
    }
  }
  const auto duration = ParseDuration(text);
  if (!duration) return;
  GAVEL_CHECK(duration->count() >= 0) << duration->count();
  const auto written = std::chrono::ceil<std::chrono::microseconds>(*duration);
  GAVEL_CHECK(ParseDuration(FormatDuration(written)) == written) << FormatDuration(written);
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (static_cast<uint8_t>(input[0]) % kKinds) {
    case kCommandLine:
      return OneCommandLine(text);
    case kVariables:
      return OneEnvironment(text);
    case kText:
      return OneText(text);
    default:
      return OneValue(text);
  }
}

std::vector<std::string> Seeds() {
  const auto seed = [](Kind kind, const std::string& text) {
    return std::string(1, static_cast<char>(kind)) + text;
  };
  return {
      seed(kCommandLine, "get\nk\n--prefix\n--limit=5\n-w\njson"),
      seed(kCommandLine, "--endpoints=a:1,b:2\nput\nk\n--\n-v\n--x"),
      seed(kCommandLine, "watch\na\nz\n--rev\n7\n--\nsh\n-c\necho"),
      seed(kCommandLine, "endpoint\nstatus\n--cluster\n-wtable\n--dial-timeout\n1.5s"),
      seed(kCommandLine, "lock\nname\n--ttl=5\n--kill-after=3s\n--\nsleep\n1"),
      seed(kCommandLine, "help\nconfig\napply"),
      seed(kCommandLine, "gett\nk"),
      seed(kCommandLine, "--command-timeout=1m30s\n--hex=maybe\nl"),
      seed(kCommandLine, "--max-recv-bytes=2147483648\n--max-input-bytes\n0\nversion"),
      seed(kCommandLine, "--cacert=x\n--user\na:b\nget\nk"),
      seed(kVariables, "GAVELCTL_ENDPOINTS=a:1\nETCDCTL_ENDPOINTS=b:1\nETCDCTL_API=3"),
      seed(kVariables, "ETCDCTL_WATCH_KEY=\"a b\"\nGAVELCTL_WATCH_RANGE_END=z\nETCDCTL_X=1"),
      seed(kVariables, "GAVELCTL_DIAL_TIMEOUT=5\nETCDCTL_WRITE_OUT=json\nGAVELCTL_HEX=true"),
      seed(kText, "\"a\\x41\\u00e9\\U0001f600\\101\\n\\\"\""),
      seed(kText, "`raw \\ text`"),
      seed(kText,
           std::string("\0\x1b[31m\xff\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xae\xef\xbf\xbe", 19)),
      seed(kText, "iVBORw0KGgo="),
      seed(kValues, "1h2m3.5s"),
      seed(kValues, "100\xc2\xb5s"),
      seed(kValues, "0.0000001ns"),
      seed(kValues, "-9223372036854775808"),
      seed(kValues, "+7fffffffffffffff"),
  };
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
