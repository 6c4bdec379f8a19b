// Where options come from: arguments, variables and the file, and which of them counts.
#include "server/options.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

#include "server/options_table.h"
#include "server/options_values.h"
#include "server/version.h"

namespace gavel::server {
namespace {

constexpr char kConfigFile[] = "config-file";

std::string StripExperimental(const std::string& name) {
  return absl::StartsWith(name, "experimental-") ? name.substr(13) : name;
}

const Flag* FindFlag(const std::string& name) {
  for (const std::string& spelling : {name, StripExperimental(name)}) {
    for (const Flag& flag : AllFlags()) {
      if (flag.name == spelling) return &flag;
    }
  }
  return nullptr;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

// " (did you mean --x?)", or nothing if no flag is near.
std::string Suggestion(std::string_view name) {
  const Flag* nearest = nullptr;
  size_t best = 1 + std::max<size_t>(2, name.size() / 3);
  for (const Flag& flag : AllFlags()) {
    const size_t distance = EditDistance(name, flag.name);
    if (distance < best) {
      best = distance;
      nearest = &flag;
    }
  }
  return nearest == nullptr ? "" : absl::StrCat(" (did you mean --", nearest->name, "?)");
}

absl::Status SetFlag(const Flag& flag, const std::string& text, ValueSource source,
                     const std::string& shown_as, OptionsDraft& draft) {
  // An empty value is none, as deployment tools leave variables empty.
  if (text.empty() && source != ValueSource::kFlag) return absl::OkStatus();
  const absl::Status status = flag.set(text, source, draft);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(shown_as, ": ", status.message()));
  }
  draft.given.insert(flag.name);
  return absl::OkStatus();
}

// What the command line says, before the values are looked at.
struct Arguments {
  struct Given {
    const Flag* flag;
    std::string spelling;  // With "experimental-", if it was written so.
    std::string value;
  };
  std::vector<Given> flags;
  std::optional<std::string> config_file;
  bool help = false;
  bool version = false;
};

// Go's rules: one dash or two, "=value" or the next argument, switches only with "=".
absl::StatusOr<Arguments> ReadArguments(const std::vector<std::string>& arguments) {
  Arguments read;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 2 || argument[0] != '-' || argument == "--") {
      return absl::InvalidArgumentError(absl::StrCat("'", argument, "' is not a valid flag"));
    }
    const size_t start = argument[1] == '-' ? 2 : 1;
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(start, equals - start);
    if (name == "help" || name == "h") {
      read.help = true;
      continue;
    }
    if (name == "version") {
      read.version = true;
      continue;
    }
    const Flag* flag = FindFlag(name);
    if (flag == nullptr && name != kConfigFile) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag --", name, Suggestion(name), "; --help lists all"));
    }
    std::string value = "true";
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (flag == nullptr || flag->kind == FlagKind::kValue) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat("flag needs an argument: --", name));
      }
      value = arguments[++i];
    }
    if (flag == nullptr) {
      read.config_file = value;
    } else {
      read.flags.push_back({flag, name, std::move(value)});
    }
  }
  return read;
}

std::string VariableName(const Flag& flag) {
  return absl::StrCat("ETCD_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag.name, {{"-", "_"}})));
}

absl::Status ApplyVariables(const Environment& environment, OptionsDraft& draft) {
  for (const auto& [variable, value] : environment) {
    if (!absl::StartsWith(variable, "ETCD_") || variable == "ETCD_CONFIG_FILE") continue;
    const std::string name =
        absl::StrReplaceAll(absl::AsciiStrToLower(variable.substr(5)), {{"_", "-"}});
    const Flag* flag = FindFlag(name);
    // Kubernetes sets such variables for every service called etcd, and some images keep a password
    // in one: the value stays out of the log.
    if (flag == nullptr) {
      draft.warnings.push_back(absl::StrCat("unrecognized environment variable ", variable));
      continue;
    }
    if (!value.empty() && draft.given.contains(flag->name)) {
      draft.warnings.push_back(absl::StrCat("environment variable ", variable,
                                            " is shadowed by the flag --", flag->name));
      continue;
    }
    if (absl::Status status = SetFlag(*flag, value, ValueSource::kVariable, variable, draft);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyArguments(const Arguments& arguments, OptionsDraft& draft) {
  for (const auto& [flag, spelling, value] : arguments.flags) {
    if (absl::Status status =
            SetFlag(*flag, value, ValueSource::kFlag, absl::StrCat("--", spelling), draft);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// The value of a YAML key as the text of a flag: lists are joined by commas.
absl::StatusOr<std::string> YamlText(const YAML::Node& node) {
  if (!node.IsDefined() || node.IsNull()) return std::string();
  if (node.IsScalar()) return node.Scalar();
  if (node.IsSequence()) {
    std::vector<std::string> parts;
    for (const YAML::Node& item : node) {
      if (!item.IsScalar()) return absl::InvalidArgumentError("a list of plain values is expected");
      parts.push_back(item.Scalar());
    }
    return absl::StrJoin(parts, ",");
  }
  if (node.IsMap() && node.size() == 0) return std::string();
  return absl::InvalidArgumentError("a plain value or a list is expected");
}

// The TLS options, which the file keeps in two groups: `prefix` is "" or "peer-".
absl::Status ApplyTransportSecurity(const YAML::Node& group, const std::string& prefix,
                                    const std::string& file, OptionsDraft& draft) {
  if (group.IsNull()) return absl::OkStatus();
  if (!group.IsMap()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": ", prefix.empty() ? "client-" : prefix,
        "transport-security: refused: not a map, so what it asks for is not understood"));
  }
  for (const auto& entry : group) {
    const std::string name = prefix + entry.first.as<std::string>();
    absl::StatusOr<std::string> text = YamlText(entry.second);
    const std::string shown_as = absl::StrCat(file, ": ", name);
    const Flag* flag = FindFlag(name);
    // What is not known here may be meant to make connections safer.
    if (flag == nullptr || !text.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          shown_as, ": refused: not understood in a group on the safety of connections"));
    }
    if (absl::Status status = SetFlag(*flag, *text, ValueSource::kFile, shown_as, draft);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyYaml(const YAML::Node& map, const std::string& file, OptionsDraft& draft) {
  for (const auto& entry : map) {
    const std::string name = entry.first.as<std::string>();
    const std::string shown_as = absl::StrCat(file, ": ", name);
    absl::Status status;
    if (name == "client-transport-security") {
      status = ApplyTransportSecurity(entry.second, "", file, draft);
    } else if (name == "peer-transport-security") {
      status = ApplyTransportSecurity(entry.second, "peer-", file, draft);
    } else if (const Flag* flag = FindFlag(name); flag == nullptr) {
      draft.warnings.push_back(absl::StrCat(file, ": unknown key ", name, Suggestion(name)));
    } else if (absl::StatusOr<std::string> text = YamlText(entry.second); !text.ok()) {
      status = absl::InvalidArgumentError(absl::StrCat(shown_as, ": ", text.status().message()));
    } else {
      status = SetFlag(*flag, *text, ValueSource::kFile, shown_as, draft);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Not YAML::LoadFile, which lets a read that fails pass through it as an exception of the stream,
// and forgets what it had allocated.
std::optional<std::string> ReadText(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  in >> text.rdbuf();
  if (!in.eof()) return std::nullopt;  // A directory, too.
  return text.str();
}

absl::Status ApplyFile(const std::string& file, OptionsDraft& draft) {
  const std::optional<std::string> text = ReadText(file);
  if (!text) {
    return absl::InvalidArgumentError(absl::StrCat("--config-file ", file, ": cannot be read"));
  }
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--config-file ", file, ": the file is not a YAML map of flags"));
    }
    return ApplyYaml(root, file, draft);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("--config-file ", file, ": ", error.what()));
  }
}

std::string VersionText() {
  return absl::StrCat("gaveld Version: ", std::string(GavelVersion()),
                      "\nGit SHA: ", std::string(GavelCommit()),
                      "\nServes etcd API: ", std::string(kEtcdServerVersion), "\n");
}

// What stands beside a file does not count, as in etcd; but who asks for safety must not start
// without it.
absl::Status IgnoreForFile(const Flag& flag, const std::string& shown_as, const std::string& value,
                           const std::string& file, OptionsDraft& draft) {
  if (flag.refused) {
    absl::Status status = flag.set(value, ValueSource::kFlag, draft);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(shown_as, ": ", status.message()));
    }
  }
  if (AsksForEncryption(flag.name, value)) {
    return absl::InvalidArgumentError(
        absl::StrCat(shown_as, ": ", value,
                     " is refused: this release does not encrypt connections, and the config file ",
                     file, " counts in its place"));
  }
  draft.warnings.push_back(absl::StrCat(shown_as, " is ignored because of the config file ", file));
  return absl::OkStatus();
}

// Reads whichever source counts.
absl::Status ApplySources(const Arguments& arguments, const Environment& environment,
                          OptionsDraft& draft) {
  std::string file;
  if (const auto variable = environment.find("ETCD_CONFIG_FILE"); variable != environment.end()) {
    file = variable->second;
  }
  if (arguments.config_file.has_value()) file = *arguments.config_file;
  if (file.empty()) {
    if (absl::Status status = ApplyArguments(arguments, draft); !status.ok()) return status;
    return ApplyVariables(environment, draft);
  }
  for (const Arguments::Given& given : arguments.flags) {
    absl::Status status =
        IgnoreForFile(*given.flag, absl::StrCat("--", given.spelling), given.value, file, draft);
    if (!status.ok()) return status;
  }
  for (const Flag& flag : AllFlags()) {
    const std::string variable = VariableName(flag);
    const auto given = environment.find(variable);
    if (given == environment.end()) continue;
    absl::Status status = IgnoreForFile(flag, variable, given->second, file, draft);
    if (!status.ok()) return status;
  }
  return ApplyFile(file, draft);
}

}  // namespace

std::string HelpText() {
  std::string text =
      "Usage: gaveld [flags]\n\n"
      "A member of a Gavel cluster: a replicated configuration store with etcd's v3 API.\n"
      "Each flag may be given as a variable (--data-dir is ETCD_DATA_DIR; the flag wins) or in a\n"
      "YAML file by --config-file, which then counts alone.\n";
  std::string group;
  std::vector<std::string> ignored;
  std::vector<std::string> refused;
  for (const Flag& flag : AllFlags()) {
    if (flag.group.empty()) continue;
    if (flag.group != group) {
      group = flag.group;
      absl::StrAppend(&text, "\n", group, ":\n");
    }
    absl::StrAppend(&text, "  --", flag.name, " '", flag.default_text, "'\n      ", flag.help,
                    "\n");
  }
  absl::StrAppend(&text,
                  "\nOther:\n  --config-file ''\n      File of flags.\n  --help\n  --version\n");
  const auto list = [&text](const char* title, const std::vector<Flag>& flags) {
    absl::StrAppend(&text, "\n", title, "\n ");
    size_t column = 1;
    for (const Flag& flag : flags) {
      if (column + flag.name.size() > 95) {
        absl::StrAppend(&text, "\n ");
        column = 1;
      }
      absl::StrAppend(&text, " ", flag.name);
      column += 1 + flag.name.size();
    }
    absl::StrAppend(&text, "\n");
  };
  list("etcd's flags that are accepted without effect:", FlagsWithoutEffect());
  list("etcd's flags that are refused, since what they ask for does not exist here:",
       RefusedFlags());
  return text;
}

Environment EnvironmentOf(const char* const* variables) {
  Environment environment;
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const std::string_view variable = *variables;
    const size_t equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return environment;
}

absl::StatusOr<ParsedOptions> ParseOptions(const std::vector<std::string>& arguments,
                                           const Environment& environment) {
  absl::StatusOr<Arguments> read = ReadArguments(arguments);
  if (!read.ok()) return read.status();
  ParsedOptions parsed;
  if (read->help || read->version) {
    parsed.print = read->help ? HelpText() : VersionText();
    return parsed;
  }
  OptionsDraft draft;
  if (absl::Status status = ApplySources(*read, environment, draft); !status.ok()) return status;
  if (absl::Status status = CompleteOptions(draft); !status.ok()) return status;
  if (draft.options.io_threads == 0) {
    draft.options.io_threads = std::max(1U, std::thread::hardware_concurrency() / 2);
  }
  parsed.options = std::move(draft.options);
  parsed.warnings = std::move(draft.warnings);
  return parsed;
}

}  // namespace gavel::server
