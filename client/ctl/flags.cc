#include "client/ctl/flags.h"

#include <cstdlib>
#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

const FlagSpec* FindFlag(const FlagTables& tables, std::string_view name) {
  for (const std::vector<FlagSpec>* table : tables) {
    for (const FlagSpec& flag : *table) {
      if (flag.name == name) return &flag;
    }
  }
  return nullptr;
}

const FlagSpec* FindLetter(const FlagTables& tables, char letter) {
  for (const std::vector<FlagSpec>* table : tables) {
    for (const FlagSpec& flag : *table) {
      if (flag.letter == letter) return &flag;
    }
  }
  return nullptr;
}

Failure UnknownFlag(const FlagTables& tables, std::string_view name) {
  std::vector<std::string_view> names = {"help"};
  for (const std::vector<FlagSpec>* table : tables) {
    for (const FlagSpec& flag : *table) names.push_back(flag.name);
  }
  std::vector<std::string> meant;
  for (const std::string_view each : names) {
    if (!name.empty() && each.starts_with(name)) meant.push_back("--" + std::string(each));
  }
  // One letter may begin anything.
  constexpr size_t kMeantMax = 3;
  if (meant.size() > kMeantMax) meant.clear();
  if (meant.empty()) {
    const std::string_view nearest = Nearest(name, names);
    if (!nearest.empty()) meant.push_back("--" + std::string(nearest));
  }
  Failure failure{ExitCode::kError, "unknown flag: --" + std::string(name), {}};
  if (!meant.empty()) failure.hint = "Did you mean " + Join(meant, " or ") + "? ";
  failure.hint += "A key, a value or a command's option that begins with '-' comes after '--'.";
  return failure;
}

Failure NeedsArgument(std::string_view shown_as) {
  return {ExitCode::kError, "flag needs an argument: " + std::string(shown_as),
          "It comes behind the flag, or behind '='."};
}

}  // namespace

std::string_view ValueName(const FlagSpec& flag) {
  if (!flag.value_name.empty()) return flag.value_name;
  switch (flag.type) {
    case FlagType::kSwitch:
      return {};
    case FlagType::kInteger:
      return "N";
    case FlagType::kDuration:
      return "DURATION";
    case FlagType::kList:
      return "LIST";
    case FlagType::kText:
      break;
  }
  return "TEXT";
}

void FlagValues::AddDefaults(const std::vector<FlagSpec>& flags) {
  for (const FlagSpec& flag : flags) {
    if (values_.contains(flag.name)) continue;
    if (Set(flag, flag.default_text, flag.name)) std::abort();  // A slip in a table.
    values_.find(flag.name)->second.given = false;
  }
}

MaybeFailure FlagValues::Set(const FlagSpec& flag, std::string_view text,
                             std::string_view shown_as) {
  Value value{std::string(text), 0, true};
  std::string wanted;
  switch (flag.type) {
    case FlagType::kSwitch:
      if (const std::optional<bool> on = ParseBool(text.empty() ? "false" : text)) {
        value.number = *on ? 1 : 0;
      } else {
        wanted = "true or false";
      }
      break;
    case FlagType::kInteger:
      if (const std::optional<int64_t> number = ParseInteger(text.empty() ? "0" : text)) {
        value.number = *number;
      } else {
        wanted = "a whole number of 64 bits";
      }
      break;
    case FlagType::kDuration:
      if (const auto duration = ParseDuration(text)) {
        value.number = duration->count();
      } else {
        wanted = "a duration such as 500ms, 5s or 1m30s";
      }
      break;
    case FlagType::kText:
    case FlagType::kList:
      break;
  }
  if (!wanted.empty()) {
    return Failure{ExitCode::kError,
                   "invalid argument " + Quote(text) + " for " + Quote(shown_as) + " flag",
                   "It takes " + wanted + "."};
  }
  const auto before = values_.find(flag.name);
  if (flag.type == FlagType::kList && before != values_.end() && before->second.given) {
    value.text = before->second.text + "," + value.text;
  }
  values_.insert_or_assign(std::string(flag.name), std::move(value));
  return std::nullopt;
}

std::vector<std::string> FlagValues::List(std::string_view name) const {
  std::vector<std::string> parts;
  for (const std::string& part : Split(Find(name).text, ',')) {
    if (!Trim(part).empty()) parts.emplace_back(Trim(part));
  }
  return parts;
}

const FlagValues::Value& FlagValues::Find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) std::abort();
  return found->second;
}

bool FlagReader::AtFlag() const {
  if (done() || flags_ended_) return false;
  const std::string& token = tokens_[position_];
  if (token.size() < 2 || token[0] != '-') return false;
  return !(token[1] >= '0' && token[1] <= '9');
}

MaybeFailure FlagReader::ReadFlag(const FlagTables& tables, FlagValues* values, bool* help) {
  const std::string& token = tokens_[position_];
  if (token == "--") {
    flags_ended_ = true;
    ++position_;
    return std::nullopt;
  }
  if (token[1] != '-') return ReadLetters(tables, values, help);
  const size_t equals = token.find('=');
  const std::string name = token.substr(2, equals - 2);
  const FlagSpec* const flag = FindFlag(tables, name);
  if (flag == nullptr && name == "help") {
    *help = true;
    ++position_;
    return std::nullopt;
  }
  if (flag == nullptr) return UnknownFlag(tables, name);
  ++position_;
  const std::string shown_as = "--" + name;
  if (equals != std::string::npos) {
    const std::string text = tokens_[position_ - 1].substr(equals + 1);
    return values->Set(*flag, text, shown_as);
  }
  if (flag->type == FlagType::kSwitch) return values->Set(*flag, "true", shown_as);
  if (done()) return NeedsArgument(shown_as);
  return values->Set(*flag, TakeWord(), shown_as);
}

// "-i", "-w json", "-wjson", "-w=json".
MaybeFailure FlagReader::ReadLetters(const FlagTables& tables, FlagValues* values, bool* help) {
  const std::string token = TakeWord();
  for (size_t at = 1; at < token.size(); ++at) {
    const FlagSpec* const flag = FindLetter(tables, token[at]);
    if (flag == nullptr && token[at] == 'h') {
      *help = true;
      continue;
    }
    const std::string shown_as = std::string("-") + token[at];
    if (flag == nullptr) {
      return Failure{ExitCode::kError,
                     "unknown shorthand flag: '" + std::string(1, token[at]) + "' in " + token,
                     "A key, a value or a command's option that begins with '-' comes after '--'."};
    }
    std::string rest = token.substr(at + 1);
    if (flag->type == FlagType::kSwitch && (rest.empty() || rest[0] != '=')) {
      if (MaybeFailure failure = values->Set(*flag, "true", shown_as)) return failure;
      continue;
    }
    if (!rest.empty() && rest[0] == '=') {
      rest.erase(0, 1);
    } else if (rest.empty()) {
      if (done()) return NeedsArgument(shown_as);
      rest = TakeWord();
    }
    return values->Set(*flag, rest, shown_as);
  }
  return std::nullopt;
}

}  // namespace gavel::client::ctl
