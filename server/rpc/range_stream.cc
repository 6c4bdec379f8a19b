#include "server/rpc/range_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "proto/etcdserverpb/kv.pb.h"
#include "raft/sim_point.h"
#include "server/rpc/checks.h"
#include "server/rpc/error_map.h"
#include "server/rpc/step_pause.h"
#include "storage/mvcc/range.h"

namespace gavel::server {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RangeStreamResponse;
using storage::RangeCursor;

constexpr int64_t kFirstChunkRows = 10;
constexpr int64_t kChunkRowsMax = 1 << 20;

// Waits for the request, then for the view, then steps in the background, and pauses while the
// writer is full. One step runs at a time; the cursor belongs to it.
class RangeStreamCall final : public StreamHandler,
                              public std::enable_shared_from_this<RangeStreamCall> {
 public:
  RangeStreamCall(const ServiceSurroundings& surroundings, CallContext context,
                  std::shared_ptr<StreamWriter> writer)
      : surroundings_(surroundings), context_(std::move(context)), writer_(std::move(writer)) {}

  void OnMessage(std::string message) override {
    if (std::exchange(asked_, true)) return;
    if (!ParseRequest(message, &request_)) {
      writer_->Finish(MalformedRequest());
      return;
    }
    std::optional<Error> error = CheckRange(request_);
    if (!error && TooManyJobs(surroundings_)) error = Error::kTooManyRequests;
    if (!error) error = CheckRangeStream(request_);
    if (!error && surroundings_.gate->learner() && !request_.serializable()) {
      error = Error::kNotSupportedForLearner;
    }
    if (error) {
      writer_->Finish(ToStatus(*error));
      return;
    }
    if (request_.serializable()) {
      Begin(surroundings_.gate->view());
      return;
    }
    surroundings_.gate->Read(context_.deadline, [self = shared_from_this()](ReadResult read) {
      if (read.result == GateResult::kOk) {
        self->Begin(std::move(read.view));
      } else {
        self->writer_->Finish(ToStatus(read.result));
      }
    });
  }

  void OnHalfClose() override {
    if (!asked_) writer_->Finish(MalformedRequest());
  }

  void OnWritable() override {
    if (pause_.Wake()) RunSteps();
  }

  void OnCancel() override { pause_.Cancel(); }

  bool EndsByItself() const override { return true; }

 private:
  void Begin(std::shared_ptr<const storage::ReadView> view) {
    cursor_.emplace(std::move(view), request_);
    RunSteps();
  }

  void RunSteps() {
    surroundings_.gate->RunInBackground([self = shared_from_this()] { return self->Step(); });
  }

  // One bounded step; false when there is nothing to do until somebody asks again.
  bool Step() {
    if (pause_.canceled()) return false;
    const storage::RangeBudget budget{chunk_rows_,
                                      static_cast<int64_t>(surroundings_.limits.request_bytes_max)};
    switch (cursor_->Step(budget)) {
      case RangeCursor::Progress::kMore:
        return SendChunk();
      case RangeCursor::Progress::kDone:
        SendLast();
        return false;
      case RangeCursor::Progress::kOvertaken:
        if (sent_ && !GAVEL_PLANTED_BUG(44)) {
          writer_->Finish(ToStatus(Error::kCompacted));
          return false;
        }
        cursor_.emplace(surroundings_.gate->view(), request_);
        return true;
      case RangeCursor::Progress::kRefused:
        writer_->Finish(ToStatus(cursor_->error()));
        return false;
      case RangeCursor::Progress::kFailed:
        writer_->Finish(InternalError(cursor_->status().ToString()));
        return false;
    }
    return false;
  }

  // Sends the rows found; false if the writer is full.
  bool SendChunk() {
    RangeStreamResponse message;
    *message.mutable_range_response() = cursor_->TakeChunk();
    if (message.range_response().kvs_size() == 0) return true;
    std::string bytes = message.SerializeAsString();
    AdaptChunk(bytes.size());
    sent_ = true;
    // In this order: the mark is that of the last write.
    const size_t queued = writer_->Write(Encoded(std::move(bytes)));
    if (queued <= writer_->high_mark()) return true;
    GAVEL_SIM_POINT("chunk written, stream not paused");
    return !pause_.Pause();
  }

  void SendLast() {
    RangeStreamResponse message;
    *message.mutable_range_response() = cursor_->TakeResponse();
    FillHeader(*surroundings_.gate, surroundings_.gate->term(),
               message.mutable_range_response()->mutable_header());
    writer_->Write(Encode(message));
    writer_->Finish(RpcStatus());
  }

  // Keeps chunks between half and twice the size of a large request.
  void AdaptChunk(size_t bytes) {
    const uint64_t target = surroundings_.limits.request_bytes_max;
    if (bytes < target / 2) {
      chunk_rows_ = std::min(chunk_rows_ * 2, kChunkRowsMax);
    } else if (bytes > target * 2) {
      chunk_rows_ = std::max<int64_t>(chunk_rows_ / 2, 1);
    }
  }

  const ServiceSurroundings surroundings_;
  const CallContext context_;
  const std::shared_ptr<StreamWriter> writer_;
  bool asked_ = false;
  RangeRequest request_;

  // Of the step that runs.
  std::optional<RangeCursor> cursor_;
  int64_t chunk_rows_ = kFirstChunkRows;
  bool sent_ = false;

  StepPause pause_;
};

}  // namespace

std::shared_ptr<StreamHandler> StartRangeStream(const ServiceSurroundings& surroundings,
                                                CallContext context,
                                                std::shared_ptr<StreamWriter> writer) {
  return std::make_shared<RangeStreamCall>(surroundings, std::move(context), std::move(writer));
}

}  // namespace gavel::server
