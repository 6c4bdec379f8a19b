// The configurations of the log: which one is in force, and to which one a truncation returns.
#pragma once

#include <deque>

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::raft {

// Invariants: indexes grow; the first element is committed or the one the log starts with.
class ConfigurationHistory {
 public:
  ConfigurationHistory(Index index, Configuration configuration);

  // The configuration in force: the latest appended (Ongaro §4.1), and where it stands.
  const Configuration& latest() const { return history_.back().configuration; }
  Index latest_index() const { return history_.back().index; }

  // True if `id` is a voter in the latest configuration or in one that it may yet fall back to.
  bool MayBeVoter(NodeId id) const;

  // True if `id` is a member in one of these.
  bool MayBeMember(NodeId id) const;

  // Requires: `index` is above latest_index().
  void Append(Index index, Configuration configuration);
  // The log loses its entries from `index` on. Returns true if the latest configuration changes.
  bool TruncateFrom(Index index);
  // Configurations that a later committed one has replaced are never returned to.
  void OnCommitted(Index commit);
  void ResetTo(Index index, Configuration configuration);

 private:
  struct At {
    Index index;
    Configuration configuration;
  };

  std::deque<At> history_;
};

}  // namespace gavel::raft
