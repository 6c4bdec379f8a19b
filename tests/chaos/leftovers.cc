#include "tests/chaos/leftovers.h"

#include <algorithm>
#include <cstdint>

#include "raft/check.h"

namespace gavel::chaos {
namespace {

std::string Member(size_t number) { return "member " + std::to_string(number) + ": "; }
std::string Whole(double value) { return std::to_string(static_cast<int64_t>(value)); }

}  // namespace

std::vector<std::string> Leftovers(const std::vector<MemberLoad>& base,
                                   const std::vector<MemberLoad>& now) {
  GAVEL_CHECK(base.size() == now.size()) << "not the same members";
  std::vector<std::string> left;
  for (size_t member = 0; member < now.size(); ++member) {
    for (const char* name : kHeldForClients) {
      const auto before = base[member].held.find(name);
      const auto after = now[member].held.find(name);
      if (before == base[member].held.end() || after == now[member].held.end()) {
        left.push_back(Member(member) + name + " is not told");
      } else if (after->second > before->second) {
        left.push_back(Member(member) + name + " is " + Whole(after->second) + " instead of " +
                       Whole(before->second));
      }
    }
  }
  return left;
}

std::vector<std::string> NeverHeld(const std::vector<MemberLoad>& base,
                                   const std::vector<MemberLoad>& most) {
  GAVEL_CHECK(base.size() == most.size()) << "not the same members";
  std::vector<std::string> never;
  for (const char* name : kHeldForClients) {
    bool held = name == kPendingEvents;
    for (size_t member = 0; member < most.size(); ++member) {
      const auto before = base[member].held.find(name);
      const auto peak = most[member].held.find(name);
      held = held || (before != base[member].held.end() && peak != most[member].held.end() &&
                      peak->second > before->second);
    }
    if (!held) never.push_back(std::string(name) + " was never above its base");
  }
  return never;
}

std::vector<std::string> Grown(const std::vector<MemberLoad>& before,
                               const std::vector<MemberLoad>& after, double share_max) {
  GAVEL_CHECK(before.size() == after.size()) << "not the same members";
  std::vector<std::string> grown;
  for (size_t member = 0; member < after.size(); ++member) {
    if (after[member].resident_bytes < before[member].resident_bytes * (1 + share_max)) continue;
    grown.push_back(Member(member) + "resident memory has grown from " +
                    Whole(before[member].resident_bytes) + " to " +
                    Whole(after[member].resident_bytes) + " bytes");
  }
  return grown;
}

void RaiseTo(const std::vector<MemberLoad>& now, std::vector<MemberLoad>* most) {
  most->resize(std::max(most->size(), now.size()));
  for (size_t member = 0; member < now.size(); ++member) {
    MemberLoad& peak = (*most)[member];
    for (const auto& [name, value] : now[member].held) {
      double& held = peak.held.try_emplace(name, value).first->second;
      held = std::max(held, value);
    }
    peak.resident_bytes = std::max(peak.resident_bytes, now[member].resident_bytes);
  }
}

}  // namespace gavel::chaos
