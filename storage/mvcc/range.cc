#include "storage/mvcc/range.h"

#include <utility>

#include "raft/check.h"
#include "storage/mvcc/range_result.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {

class RangeCursor::Impl {
 public:
  Impl(std::shared_ptr<const ReadView> view, etcdserverpb::RangeRequest request)
      : view_(std::move(view)), newest_(request.revision() <= 0), result_(request) {
    revision_ = newest_ ? view_->revision : request.revision();
    error_ = CheckSort(request);
    if (error_ != RequestError::kNone) return;
    if (revision_ > view_->revision) {
      error_ = RequestError::kFutureRevision;
    } else if (revision_ < view_->compacted) {
      error_ = RequestError::kCompacted;
    } else {
      scan_.emplace(*view_->engine, KeyRange::FromRequest(request.key(), request.range_end()),
                    revision_);
    }
  }

  Progress Step(const RangeBudget& budget) {
    if (error_ != RequestError::kNone) return Progress::kRefused;
    if (done_) return Progress::kDone;
    ScanBudget left{budget.rows_max, budget.bytes_max};
    const int64_t copied_before = result_.copied_bytes();
    VersionScan::Result result = scan_->Next(left);
    while (result == VersionScan::Result::kRow) {
      result_.Add(scan_->user_key(), scan_->version());
      left.bytes = budget.bytes_max - (result_.copied_bytes() - copied_before);
      result = scan_->Next(left);
    }
    if (result == VersionScan::Result::kFailed) return Progress::kFailed;
    // Versions below the newest published compacted revision may have been missing already.
    if (view_->published_compacted->load() > revision_) {
      scan_->Suspend();
      if (newest_) return Progress::kOvertaken;
      error_ = RequestError::kCompacted;
      return Progress::kRefused;
    }
    if (result == VersionScan::Result::kBudget) return Progress::kMore;
    done_ = true;
    return Progress::kDone;
  }

  RequestError error() const { return error_; }
  absl::Status status() const { return scan_ ? scan_->status() : absl::OkStatus(); }

  int64_t held_bytes() const { return result_.held_bytes(); }

  etcdserverpb::RangeResponse TakeResponse() {
    GAVEL_CHECK(done_);
    return result_.Finish(view_->revision);
  }

  etcdserverpb::RangeResponse TakeChunk() {
    GAVEL_CHECK(result_.ordered_by_key());
    return result_.TakeRows();
  }

 private:
  const std::shared_ptr<const ReadView> view_;
  const bool newest_;
  Revision revision_ = 0;
  RangeResult result_;
  std::optional<VersionScan> scan_;
  RequestError error_ = RequestError::kNone;
  bool done_ = false;
};

RangeCursor::RangeCursor(std::shared_ptr<const ReadView> view, etcdserverpb::RangeRequest request)
    : impl_(std::make_unique<Impl>(std::move(view), std::move(request))) {}
RangeCursor::~RangeCursor() = default;
RangeCursor::RangeCursor(RangeCursor&&) noexcept = default;
RangeCursor& RangeCursor::operator=(RangeCursor&&) noexcept = default;

RangeCursor::Progress RangeCursor::Step(const RangeBudget& budget) { return impl_->Step(budget); }
RequestError RangeCursor::error() const { return impl_->error(); }
absl::Status RangeCursor::status() const { return impl_->status(); }
int64_t RangeCursor::held_bytes() const { return impl_->held_bytes(); }
etcdserverpb::RangeResponse RangeCursor::TakeResponse() { return impl_->TakeResponse(); }
etcdserverpb::RangeResponse RangeCursor::TakeChunk() { return impl_->TakeChunk(); }

}  // namespace gavel::storage
