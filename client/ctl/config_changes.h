// What separates the store from what a file wants, and the one transaction that closes the gap.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/ctl/output.h"
#include "client/txn.h"
#include "client/types.h"

namespace gavel::client::ctl {

// What was read: every key of a range as it was at one revision.
struct ConfigState {
  KeyRange range;
  int64_t revision = 0;
  std::map<std::string, KeyValue> keys;
};

struct Change {
  std::string key;
  std::optional<std::string> before;  // Nothing: the key is not there.
  std::optional<std::string> after;   // Nothing: it is deleted.
  int64_t mod_revision = 0;           // Of what is there; 0 if nothing is.
};

// In the order of keys. Keys that are not wanted are deleted, unless `keep_others`.
std::vector<Change> FindChanges(const ConfigState& state,
                                const std::map<std::string, std::string>& wanted, bool keep_others);

// One line for a key that comes or goes, three for one that changes.
void ShowChanges(const std::vector<Change>& changes, Output* output);

// etcd's default for the compares, and for the operations, of one transaction.
constexpr size_t kTxnOperations = 128;

// The transaction that makes `changes`, guarded by what was read:
//   - each key that changes still has its mod revision, 0 if it was not there;
//   - no key of the range has changed or appeared since;
//   - as far as compares are left, no other key has gone.
// If a guard does not hold, it reads the keys of the range instead. Its last operation counts the
// keys of the range, by which the keys that no compare was left for are checked afterwards.
Txn GuardedTxn(const ConfigState& state, const std::vector<Change>& changes);

// How many keys the range holds once `changes` are made.
int64_t KeysAfter(const ConfigState& state, const std::vector<Change>& changes);

// What others did between the reading and the transaction, one line each: from what was read and
// what the refused transaction found.
std::vector<std::string> DescribeOthers(const ConfigState& state, const RangeResponse& found);

}  // namespace gavel::client::ctl
