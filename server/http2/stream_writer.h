// The front's end of a streaming call: a queue between a handler on any thread and the I/O thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "server/rpc/service.h"
#include "storage/mutex.h"

namespace gavel::server {

class Call;
class IoLoop;

// Outlives its call: what is written after the end is dropped.
class Http2StreamWriter final : public StreamWriter,
                                public std::enable_shared_from_this<Http2StreamWriter> {
 public:
  Http2StreamWriter(std::shared_ptr<IoLoop> loop, Call* call);

  // StreamWriter. Any thread.
  size_t Write(Encoded message) override;
  size_t WriteBlock(MessageBlock block) override;
  size_t high_mark() const override;
  void Finish(RpcStatus status) override;

  // The rest is for the loop's thread.

  // One message, or several that are framed.
  struct Queued {
    Encoded bytes;
    size_t framed = 0;  // How many; 0: one that is not.
  };
  struct Taken {
    std::vector<Queued> messages;
    std::optional<RpcStatus> finish;  // Follows the messages.
  };
  // All that is queued. It still counts as queued until it has been sent.
  Taken Take();
  // `bytes` of messages taken have gone. Returns whether the handler wants to know.
  bool OnSent(size_t bytes);
  bool above_high_mark();
  // The call is over.
  void Close();
  Call* call() const { return call_; }  // Null once closed.

 private:
  size_t Add(Queued message, size_t size);
  void Wake();

  const std::shared_ptr<IoLoop> loop_;
  Call* call_;

  mutable Mutex mutex_;
  std::vector<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the queue, and of what is taken and not sent.
  size_t mark_ ABSL_GUARDED_BY(mutex_) = 0;   // The high mark that the last Write went by.
  std::optional<RpcStatus> finish_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  // Above the high mark, and the handler was not told of the end of it.
  bool was_above_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;  // The loop knows that there is something to take.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace gavel::server
