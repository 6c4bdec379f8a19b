#include "raft/configuration_history.h"

#include <algorithm>
#include <utility>

#include "raft/check.h"

namespace gavel::raft {

ConfigurationHistory::ConfigurationHistory(Index index, Configuration configuration) {
  history_.push_back(At{index, std::move(configuration)});
}

bool ConfigurationHistory::MayBeVoter(NodeId id) const {
  return std::any_of(history_.begin(), history_.end(),
                     [id](const At& at) { return at.configuration.IsVoter(id); });
}

bool ConfigurationHistory::MayBeMember(NodeId id) const {
  return std::any_of(history_.begin(), history_.end(),
                     [id](const At& at) { return at.configuration.Find(id) != nullptr; });
}

void ConfigurationHistory::Append(Index index, Configuration configuration) {
  GAVEL_CHECK(index > latest_index()) << index.value() << latest_index().value();
  history_.push_back(At{index, std::move(configuration)});
}

bool ConfigurationHistory::TruncateFrom(Index index) {
  bool changed = false;
  while (history_.back().index >= index) {
    GAVEL_CHECK(history_.size() > 1) << "a committed configuration is cut at" << index.value();
    history_.pop_back();
    changed = true;
  }
  return changed;
}

void ConfigurationHistory::OnCommitted(Index commit) {
  while (history_.size() > 1 && history_[1].index <= commit) history_.pop_front();
}

void ConfigurationHistory::ResetTo(Index index, Configuration configuration) {
  history_.clear();
  history_.push_back(At{index, std::move(configuration)});
}

}  // namespace gavel::raft
