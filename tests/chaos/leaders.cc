#include "tests/chaos/leaders.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

namespace gavel::chaos {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class LeaderChecker {
 public:
  explicit LeaderChecker(const ElectionHistory& history) : history_(history) {
    for (const CandidateVersion& version : history.versions) {
      versions_[version.created].push_back(&version);
    }
    std::vector<CandidateLife> lives = history.lives;
    std::sort(lives.begin(), lives.end(),
              [](const auto& a, const auto& b) { return a.created < b.created; });
    int64_t older_gone = 0;
    for (const CandidateLife& life : lives) {
      const int64_t deleted = life.deleted == 0 ? kNever : life.deleted;
      terms_[life.created] = {std::max(life.created, older_gone), deleted};
      older_gone = std::max(older_gone, deleted);
    }
  }

  std::vector<std::string> Run() {
    for (const std::vector<ToldLeader>& stream : history_.streams) {
      for (size_t i = 0; i < stream.size(); ++i) {
        CheckTold(stream[i]);
        if (i > 0) CheckOrder(stream[i - 1], stream[i]);
      }
    }
    return std::move(violations_);
  }

 private:
  // When a candidate led: in [first, end).
  struct Term {
    int64_t first = 0;
    int64_t end = 0;
  };

  static std::string Name(const ToldLeader& told) {
    return "leader " + std::to_string(told.leader.created) + ", version " +
           std::to_string(told.leader.revision) + ", told at revision " +
           std::to_string(told.revision) + ",";
  }

  void CheckTold(const ToldLeader& told) {
    const std::vector<const CandidateVersion*>& versions = versions_[told.leader.created];
    const bool known = std::any_of(versions.begin(), versions.end(),
                                   [&](const auto* version) { return *version == told.leader; });
    if (!known) violations_.push_back(Name(told) + " is not what the store has");
    const Term term = terms_[told.leader.created];
    if (told.revision < term.first || told.revision >= term.end) {
      violations_.push_back(Name(told) + " did not lead then");
    }
  }

  void CheckOrder(const ToldLeader& before, const ToldLeader& told) {
    const bool same = told.leader.created == before.leader.created;
    if (told.revision <= before.revision || told.leader.created < before.leader.created ||
        (same && told.leader.revision <= before.leader.revision)) {
      violations_.push_back(Name(told) + " was told after version " +
                            std::to_string(before.leader.revision) + " of leader " +
                            std::to_string(before.leader.created) + ", told at revision " +
                            std::to_string(before.revision));
    }
    const int64_t until = same ? told.leader.revision : kNever;
    for (const CandidateVersion* version : versions_[before.leader.created]) {
      if (version->revision > before.revision && version->revision < until) {
        violations_.push_back("version " + std::to_string(version->revision) + " of leader " +
                              std::to_string(version->created) + " was left out before " +
                              Name(told));
      }
    }
  }

  const ElectionHistory& history_;
  std::map<int64_t, std::vector<const CandidateVersion*>> versions_;  // By when it was created.
  std::map<int64_t, Term> terms_;
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> CheckLeaders(const ElectionHistory& history) {
  return LeaderChecker(history).Run();
}

}  // namespace gavel::chaos
