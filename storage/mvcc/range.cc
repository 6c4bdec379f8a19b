#include "storage/mvcc/range.h"

#include <optional>
#include <string>
#include <utility>

#include "raft/check.h"
#include "storage/mvcc/range_count.h"
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
      const KeyRange range = KeyRange::FromRequest(request.key(), request.range_end());
      single_ = range.single;
      if (range.end) end_ = *range.end;
      if (result_.complete() && !single_) {
        CountFrom(std::string(range.begin));
      } else {
        scan_.emplace(*view_->engine, range, revision_);
      }
    }
  }

  Progress Step(const RangeBudget& budget) {
    if (error_ != RequestError::kNone) return Progress::kRefused;
    if (done_) return Progress::kDone;
    ScanBudget left{budget.rows_max, budget.bytes_max};
    if (scan_) Collect(budget, left);
    if (count_ && status_.ok()) Count(left);
    if (!status_.ok()) return Progress::kFailed;
    // Versions below the newest published compacted revision may have been missing already.
    if (view_->published_compacted->load() > revision_) {
      if (scan_) scan_->Suspend();
      done_ = false;
      if (newest_) return Progress::kOvertaken;
      error_ = RequestError::kCompacted;
      return Progress::kRefused;
    }
    return done_ ? Progress::kDone : Progress::kMore;
  }

  RequestError error() const { return error_; }
  absl::Status status() const { return status_; }

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
  // Takes rows until the budget is spent, or what is still to come is only counted.
  void Collect(const RangeBudget& budget, ScanBudget& left) {
    const int64_t copied_before = result_.copied_bytes();
    VersionScan::Result result = scan_->Next(left);
    for (; result == VersionScan::Result::kRow; result = scan_->Next(left)) {
      result_.Add(scan_->user_key(), scan_->version());
      if (result_.complete() && !single_) {
        // After the key and before all others.
        return CountFrom(std::string(scan_->user_key()) + '\0');
      }
      left.bytes = budget.bytes_max - (result_.copied_bytes() - copied_before);
    }
    done_ = result == VersionScan::Result::kEnd;
    status_ = scan_->status();
  }

  void CountFrom(std::string begin) {
    scan_.reset();
    count_.emplace(*view_, KeySpan{std::move(begin), end_}, revision_);
  }

  void Count(ScanBudget& left) {
    done_ = count_->Step(left) == RangeCount::Progress::kDone;
    status_ = count_->status();
    if (done_) result_.AddCounted(count_->keys());
  }

  const std::shared_ptr<const ReadView> view_;
  const bool newest_;
  Revision revision_ = 0;
  RangeResult result_;
  bool single_ = false;
  std::optional<std::string> end_;
  std::optional<VersionScan> scan_;  // Until the rows are complete.
  std::optional<RangeCount> count_;  // Of the keys after them.
  absl::Status status_;
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
