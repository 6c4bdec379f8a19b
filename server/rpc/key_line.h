// The line in which locks and candidates stand: the keys under a prefix, the oldest first.
//
// A key's place is its create revision (etcd's recipes and ours keep to the same keys, so both
// may stand in one line). Whoever waits watches the key just before its own, and its own: nobody
// polls, and the end of one key wakes one waiter.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "server/node/gate.h"
#include "server/rpc/service.h"
#include "server/watch/watch_hub.h"
#include "storage/mvcc/revision.h"

namespace gavel::server {

// The prefix of all keys of a lock or an election, and the key after them.
std::string LinePrefix(std::string_view name);
std::string LineEnd(std::string prefix);
// The key of the holder of `lease`: the prefix, then the lease in hexadecimal digits.
std::string LineKey(std::string_view name, int64_t lease);

// Fills in a range for the oldest key of the line.
void AskForFirst(std::string_view name, etcdserverpb::RangeRequest* range);

// One key that waits. Used on one executor.
class KeyInLine : public std::enable_shared_from_this<KeyInLine> {
 public:
  enum class End {
    kFirst,  // No older key is left; this member's state says so.
    kGone,   // The key itself is gone.
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<End>)>;

  // `key` was created at revision `create`, in the line of `name`.
  KeyInLine(Gate& gate, std::shared_ptr<Executor> executor, std::string_view name, std::string key,
            storage::Revision create);

  // Runs `done` once, unless Stop comes first. A status says that the engine failed.
  void Wait(Done done);
  void Stop();

 private:
  void Look();
  void OnSeen(storage::Revision revision, absl::StatusOr<etcdserverpb::TxnResponse> seen);
  std::unique_ptr<LocalWatch> WatchFor(const std::string& key, storage::Revision start);
  void OnNews(const WatchNews& news);
  void Finish(absl::StatusOr<End> end);

  Gate& gate_;
  const std::shared_ptr<Executor> executor_;
  const std::string prefix_;
  const std::string key_;
  const storage::Revision create_;
  Done done_;
  bool looking_ = false;
  std::unique_ptr<LocalWatch> own_;
  std::unique_ptr<LocalWatch> before_;  // The key just before.
};

}  // namespace gavel::server
