#include "tests/support/powercut/rules.h"

#include <fnmatch.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <sstream>
#include <utility>

namespace gavel::powercut {
namespace {

constexpr std::array<std::pair<const char*, Action>, 6> kActions = {{
    {"eio", Action::kEio},
    {"enospc", Action::kEnospc},
    {"stall", Action::kStall},
    {"lie", Action::kLie},
    {"cut", Action::kCut},
    {"cut-after", Action::kCutAfter},
}};

constexpr std::array<std::pair<const char*, Call>, 7> kCalls = {{
    {"sync", Call::kSync},
    {"dirsync", Call::kDirectorySync},
    {"read", Call::kRead},
    {"write", Call::kWrite},
    {"create", Call::kCreate},
    {"rename", Call::kRename},
    {"remove", Call::kRemove},
}};

// Reads "3", "3+" or "*" into [from, to].
bool ParseWhich(const std::string& which, uint64_t* from, uint64_t* to) {
  *from = 1;
  *to = std::numeric_limits<uint64_t>::max();
  if (which == "*") return true;
  char* end = nullptr;
  *from = strtoull(which.c_str(), &end, 10);
  if (end == which.c_str() || *from == 0) return false;
  if (*end == 0) *to = *from;
  return *end == 0 || std::string(end) == "+";
}

}  // namespace

const char* NameOf(Call call) {
  for (const auto& [name, value] : kCalls) {
    if (value == call) return name;
  }
  return "?";
}

std::string Rules::ParseRule(const std::string& text, Rule* rule) {
  std::istringstream words(text);
  std::string action, call, which, number, rest;
  words >> action >> call >> rule->files >> which >> number >> rest;
  if (which.empty() || !rest.empty()) return "'" + text + "' is not ACTION CALL FILES WHICH [N]";
  rule->text = text;
  const auto known = std::find_if(kActions.begin(), kActions.end(),
                                  [&](const auto& entry) { return entry.first == action; });
  if (known == kActions.end()) return "'" + action + "' is no action";
  rule->action = known->second;
  const auto kind = std::find_if(kCalls.begin(), kCalls.end(),
                                 [&](const auto& entry) { return entry.first == call; });
  rule->any_call = call == "any";
  if (kind == kCalls.end() && !rule->any_call) return "'" + call + "' is no call";
  rule->call = rule->any_call ? Call::kSync : kind->second;
  if (!ParseWhich(which, &rule->from, &rule->to)) return "'" + which + "' is not N, N+ or *";
  rule->number = strtoull(number.c_str(), nullptr, 10);
  return "";
}

std::string Rules::Parse(const std::string& text) {
  std::vector<Rule> rules;
  std::string line;
  std::string all = text;
  std::replace(all.begin(), all.end(), ';', '\n');
  std::istringstream lines(all);
  while (std::getline(lines, line)) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    line.erase(0, begin);
    Rule rule;
    if (std::string error = ParseRule(line, &rule); !error.empty()) return error;
    rules.push_back(std::move(rule));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  rules_ = std::move(rules);
  return "";
}

bool Rules::empty() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return rules_.empty();
}

bool Rules::wants_reads() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.any_call || rule.call == Call::kRead; });
}

bool Rules::wants_sites() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.files[0] == '@'; });
}

Verdict Rules::Decide(Call call, const std::string& path, const std::string& site, uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Rule& rule : rules_) {
    if (!rule.any_call && rule.call != call) continue;
    const bool matches = rule.files[0] == '@' ? rule.files.substr(1) == site
                                              : fnmatch(rule.files.c_str(), path.c_str(), 0) == 0;
    if (!matches) continue;
    ++rule.seen;
    if (rule.seen < rule.from || rule.seen > rule.to) continue;
    if (rule.action == Action::kEnospc && rule.bytes + bytes <= rule.number) {
      rule.bytes += bytes;
      continue;
    }
    return {rule.action, rule.number, rule.text};
  }
  return {};
}

}  // namespace gavel::powercut
