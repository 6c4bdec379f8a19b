// Carries out a RangeRequest on a read view, in bounded steps.
#pragma once

#include <memory>

#include "absl/status/status.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "storage/mvcc/read_view.h"
#include "storage/request_error.h"

namespace gavel::storage {

// How much one step may do before it returns.
struct RangeBudget {
  int64_t rows_max = 256;
  int64_t bytes_max = 64 << 10;
};

// One Range under way. Use from one thread at a time.
//
// The result is what etcd answers (contract 1.1), apart from the header, which holds the
// revision alone.
class RangeCursor {
 public:
  RangeCursor(std::shared_ptr<const ReadView> view, etcdserverpb::RangeRequest request);
  ~RangeCursor();
  RangeCursor(RangeCursor&&) noexcept;
  RangeCursor& operator=(RangeCursor&&) noexcept;

  enum class Progress {
    kMore,       // The budget is spent; call Step again.
    kDone,       // TakeResponse has the whole answer.
    kRefused,    // error() says why.
    kOvertaken,  // A newest read lost a race with a compaction: start over on a newer view.
    kFailed,     // The engine failed: status().
  };
  Progress Step(const RangeBudget& budget);

  RequestError error() const;
  absl::Status status() const;
  // What the answer holds as far as it is built, in bytes.
  int64_t held_bytes() const;
  etcdserverpb::RangeResponse TakeResponse();

  // For RangeStream: rows found since the last call, in key order, without header, more and
  // count. Only for requests without sorting and revision filters.
  etcdserverpb::RangeResponse TakeChunk();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
