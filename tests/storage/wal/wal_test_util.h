// Short ways to make the values that the log tests write.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/wal/wal.h"

namespace gavel::storage {

inline raft::Entry Command(uint64_t index, uint64_t term, std::string payload) {
  return {raft::Index(index), raft::Term(term), raft::EntryKind::kCommand,
          std::make_shared<const std::string>(std::move(payload))};
}

inline raft::Entry Empty(uint64_t index, uint64_t term) {
  return {raft::Index(index), raft::Term(term), raft::EntryKind::kEmpty, nullptr};
}

// A cluster of `members` voters with ids 1, 2, ...
inline raft::Configuration Voters(uint64_t members) {
  raft::Configuration configuration;
  for (uint64_t id = 1; id <= members; ++id) {
    configuration.members.push_back(
        {raft::NodeId(id), {"http://127.0.0.1:" + std::to_string(2380 + id)}});
    configuration.voters.push_back(raft::NodeId(id));
  }
  return configuration;
}

inline raft::Entry Change(uint64_t index, uint64_t term, uint64_t members) {
  return {raft::Index(index), raft::Term(term), raft::EntryKind::kConfiguration,
          std::make_shared<const std::string>(raft::EncodeConfiguration(Voters(members)))};
}

inline raft::SnapshotMeta Meta(uint64_t index, uint64_t term, uint64_t members) {
  return {raft::Index(index), raft::Term(term), Voters(members)};
}

inline raft::HardState State(uint64_t term, uint64_t vote, uint64_t commit) {
  raft::HardState state{raft::Term(term), std::nullopt, raft::Index(commit)};
  if (vote != 0) state.voted_for = raft::NodeId(vote);
  return state;
}

// The batch, with the hard state that its entries need if it brings none.
inline WalBatch InTheirTerm(WalBatch batch) {
  if (!batch.hard_state && !batch.entries.empty()) {
    batch.hard_state = raft::HardState{batch.entries.back().term, std::nullopt, raft::Index()};
  }
  return batch;
}

// "7@2:payload" for entry 7 of term 2; configuration entries show "*".
inline std::string Describe(const raft::Entry& entry) {
  std::string text = std::to_string(entry.index.value()) + "@" + std::to_string(entry.term.value());
  if (entry.kind == raft::EntryKind::kConfiguration) return text + "*";
  return entry.payload ? text + ":" + *entry.payload : text;
}

inline std::vector<std::string> Describe(const std::vector<raft::Entry>& entries) {
  std::vector<std::string> texts;
  for (const raft::Entry& entry : entries) texts.push_back(Describe(entry));
  return texts;
}

}  // namespace gavel::storage
