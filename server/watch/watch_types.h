// What is said between the watch hub and those who watch.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"

#include "storage/mvcc/key_change.h"
#include "storage/mvcc/revision.h"

namespace gavel::server {

// Names a watcher on its stream.
using WatchId = int64_t;
// In place of an id: something is said for all watchers of the stream, or for none.
inline constexpr WatchId kWholeStream = -1;

// What a watcher asks for.
struct WatchOptions {
  std::string key;              // Empty is the key "\0".
  std::string range_end;        // As in a RangeRequest.
  storage::Revision start = 0;  // First revision of interest; 0: whatever comes next.
  WatchId id = 0;               // Unique on its stream; 0: the hub picks one.
  bool no_put = false;          // Events that are of no interest.
  bool no_delete = false;
  bool prev_kv = false;   // Events come with what they changed.
  bool progress = false;  // Wants to hear now and then that nothing was missed.
  bool fragment = false;  // A revision too large for one message may be split.
};

// Why a watcher was not created.
enum class WatchRefusal : uint8_t {
  kNegativeStart,
  kEmptyRange,
  kIdInUse,
  kStreamLimit,  // WatchLimits::stream_watchers_max.
  kTotalLimit,   // WatchLimits::watchers_max or watcher_key_bytes_max.
};

struct WatchDelivery;

// What a delivery has come to.
struct WatchSent {
  bool full = false;  // The stream takes no more until WatchStream::OnWritable.
  uint64_t events = 0;
  uint64_t bytes = 0;
};

// Who is told what the watchers of one stream see.
//
// Everything is told in order and one at a time: on the stream's executor if it has one, else on
// whatever thread has something to tell (apply among them: be quick). What is told after the
// stream was closed by another thread is at most what was under way.
class WatchSink {
 public:
  virtual ~WatchSink() = default;

  // The first that is told of a watcher. It sees what comes after `revision`, or from its start.
  virtual void OnCreated(WatchId id, storage::Revision revision) = 0;
  virtual void OnRefused(WatchRefusal why, storage::Revision revision) = 0;
  virtual WatchSent OnEvents(const WatchDelivery& delivery) = 0;
  // The last that is told of a watcher that was canceled by WatchStream::Cancel. Comes after
  // OnCompacted if that was told before.
  virtual void OnCanceled(WatchId id, storage::Revision revision) = 0;
  // The last that is told of a watcher that needs history below the compacted revision, unless it
  // is canceled.
  virtual void OnCompacted(WatchId id, storage::Revision compacted) = 0;
  // Everything up to `revision` has been told; `id` may be kWholeStream.
  virtual void OnProgress(WatchId id, storage::Revision revision) = 0;
  // The engine failed: nothing more will be told.
  virtual void OnFailed(const absl::Status& status) = 0;
};

}  // namespace gavel::server
