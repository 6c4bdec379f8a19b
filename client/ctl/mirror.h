// What a mirror writes: changes of a source as transactions of a destination.
//
// Pure functions. A transaction holds changes of one revision of the source, so that the
// destination goes through the same states, unless a revision has more than one may hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/txn.h"
#include "client/types.h"
#include "client/watch.h"

namespace gavel::client::ctl {

// Which keys are mirrored, and to where.
struct MirrorPaths {
  std::string prefix;       // Of the source.
  std::string dest_prefix;  // Takes its place.

  // Requires: `key` begins with `prefix`.
  std::string Map(std::string_view key) const {
    return dest_prefix + std::string(key.substr(prefix.size()));
  }
  // Whether what is written could be mirrored again, if source and destination are one cluster.
  bool Loop() const { return dest_prefix.starts_with(prefix) || prefix.starts_with(dest_prefix); }
};

// Puts of keys as they are. A transaction has at most `operations_max` (at least 1) of them, and no
// more than about 1 MiB unless a single one has.
std::vector<Txn> CopyTxns(const std::vector<KeyValue>& kvs, const MirrorPaths& paths,
                          size_t operations_max);

struct MirrorStep {
  int64_t revision = 0;  // Of the source; whole with the last step of it.
  Txn txn = {};
};

// Changes in their order. A revision that changes a key twice, as nested transactions may, or that
// has more changes than `operations_max`, takes more than one step.
std::vector<MirrorStep> MirrorSteps(const std::vector<WatchEvent>& events, const MirrorPaths& paths,
                                    size_t operations_max);

}  // namespace gavel::client::ctl
