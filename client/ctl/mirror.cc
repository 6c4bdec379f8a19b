#include "client/ctl/mirror.h"

#include <set>
#include <utility>

namespace gavel::client::ctl {
namespace {

// Servers take 1.5 MiB by default.
constexpr size_t kCopyBytesMax = 1 << 20;

}  // namespace

std::vector<Txn> CopyTxns(const std::vector<KeyValue>& kvs, const MirrorPaths& paths,
                          size_t operations_max) {
  std::vector<Txn> txns;
  size_t bytes = 0;
  for (const KeyValue& kv : kvs) {
    PutRequest put{.key = paths.Map(kv.key), .value = kv.value};
    const size_t more = put.key.size() + put.value.size();
    if (txns.empty() || txns.back().success.size() >= operations_max ||
        bytes + more > kCopyBytesMax) {
      txns.emplace_back();
      bytes = 0;
    }
    bytes += more;
    txns.back().Then(std::move(put));
  }
  return txns;
}

std::vector<MirrorStep> MirrorSteps(const std::vector<WatchEvent>& events, const MirrorPaths& paths,
                                    size_t operations_max) {
  std::vector<MirrorStep> steps;
  std::set<std::string> changed;  // By the last step.
  for (const WatchEvent& event : events) {
    std::string key = paths.Map(event.kv.key);
    if (steps.empty() || steps.back().revision != event.kv.mod_revision ||
        steps.back().txn.success.size() >= operations_max || changed.contains(key)) {
      steps.push_back({.revision = event.kv.mod_revision});
      changed.clear();
    }
    changed.insert(key);
    if (event.type == EventType::kPut) {
      steps.back().txn.Then(PutRequest{.key = std::move(key), .value = event.kv.value});
    } else {
      steps.back().txn.Then(DeleteRequest{.range = KeyRange(std::move(key))});
    }
  }
  return steps;
}

}  // namespace gavel::client::ctl
