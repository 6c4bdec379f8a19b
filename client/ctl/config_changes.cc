#include "client/ctl/config_changes.h"

#include <set>
#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {

std::vector<Change> FindChanges(const ConfigState& state,
                                const std::map<std::string, std::string>& wanted,
                                bool keep_others) {
  std::map<std::string, Change> changes;
  for (const auto& [key, value] : wanted) {
    const auto found = state.keys.find(key);
    if (found == state.keys.end()) {
      changes[key] = {key, std::nullopt, value, 0};
    } else if (found->second.value != value) {
      changes[key] = {key, found->second.value, value, found->second.mod_revision};
    }
  }
  for (const auto& [key, kv] : state.keys) {
    if (!keep_others && !wanted.contains(key)) {
      changes[key] = {key, kv.value, std::nullopt, kv.mod_revision};
    }
  }
  std::vector<Change> in_order;
  for (auto& [key, change] : changes) in_order.push_back(std::move(change));
  return in_order;
}

void ShowChanges(const std::vector<Change>& changes, Output* output) {
  for (const Change& change : changes) {
    const std::string key = SafeText(change.key, /*multi_line=*/false);
    if (change.before && change.after) {
      output->Line(output->Paint(Colour::kYellow, "~ " + key));
      output->Line(output->Paint(Colour::kRed, "  - " + Quote(*change.before)));
      output->Line(output->Paint(Colour::kGreen, "  + " + Quote(*change.after)));
    } else if (change.after) {
      output->Line(output->Paint(Colour::kGreen, "+ " + key + ": " + Quote(*change.after)));
    } else {
      output->Line(output->Paint(Colour::kRed, "- " + key + ": " + Quote(*change.before)));
    }
  }
}

Txn GuardedTxn(const ConfigState& state, const std::vector<Change>& changes) {
  Txn txn;
  // All that is in the range is as old as what was read.
  if (!state.range.single()) {
    txn.If(Compare::ModRevision(state.range).Less(state.revision + 1));
  }
  std::set<std::string> guarded;
  for (const Change& change : changes) {
    txn.If(Compare::ModRevision(change.key).Equal(change.mod_revision));
    guarded.insert(change.key);
    if (change.after) {
      txn.Then(PutRequest{
          .key = change.key, .value = *change.after, .ignore_lease = change.before.has_value()});
    } else {
      txn.Then(DeleteRequest{.range = change.key});
    }
  }
  txn.Then(RangeRequest{.range = state.range, .count_only = true});
  for (const auto& [key, kv] : state.keys) {
    if (txn.compares.size() >= kTxnOperations) break;
    if (!guarded.contains(key)) txn.If(Compare::ModRevision(key).Equal(kv.mod_revision));
  }
  txn.Else(RangeRequest{.range = state.range, .keys_only = true});
  return txn;
}

int64_t KeysAfter(const ConfigState& state, const std::vector<Change>& changes) {
  int64_t count = static_cast<int64_t>(state.keys.size());
  for (const Change& change : changes) {
    count += (change.after ? 1 : 0) - (change.before ? 1 : 0);
  }
  return count;
}

std::vector<std::string> DescribeOthers(const ConfigState& state, const RangeResponse& found) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const KeyValue& kv : found.kvs) {
    seen.insert(kv.key);
    const auto before = state.keys.find(kv.key);
    const std::string at = " at revision " + std::to_string(kv.mod_revision);
    if (before == state.keys.end()) {
      lines.push_back(Quote(kv.key) + " was created" + at);
    } else if (before->second.mod_revision != kv.mod_revision) {
      lines.push_back(Quote(kv.key) + " was changed" + at);
    }
  }
  for (const auto& [key, kv] : state.keys) {
    if (!seen.contains(key)) lines.push_back(Quote(key) + " was deleted");
  }
  return lines;
}

}  // namespace gavel::client::ctl
