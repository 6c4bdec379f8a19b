#include "client/ctl/config_history.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "client/ctl/config_changes.h"

namespace gavel::client::ctl {
namespace {

using Clock = std::chrono::steady_clock;

// Goes back from revision to revision. A call that fails leaves it where it was.
class HistoryWalk {
 public:
  HistoryWalk(const Kv& kv, const HistoryWanted& wanted)
      : kv_(kv), wanted_(wanted), end_(Clock::now() + wanted.time) {}

  // Looks at the revision to begin with.
  Status Begin() {
    const Result<RangeResponse> first = Read(wanted_.revision);
    if (!first.ok()) return first.status();
    newest_ = wanted_.revision > 0 ? wanted_.revision : first->header.revision;
    next_ = newest_;
    Take(*first);
    const Result<int64_t> oldest = OldestRevision(kv_, newest_, Options());
    if (oldest.ok()) oldest_ = *oldest;
    return oldest.status();
  }

  // Goes on to the oldest revision, which moves when others compact, or to the limit.
  Status GoOn() {
    while (next_ >= oldest_ && !Full()) {
      const Status status = absent_ ? SkipAbsence() : LookAtNext();
      if (status.ok()) continue;
      if (status.reason() != Reason::kCompacted) return status;
      const Result<int64_t> oldest = OldestRevision(kv_, newest_, Options());
      if (!oldest.ok()) return oldest.status();
      if (*oldest <= oldest_) return status;
      oldest_ = *oldest;
    }
    return {};
  }

  KeyHistory Finish(bool time_is_up) && {
    DropCompacted();
    KeyHistory history{.key = wanted_.key,
                       .entries = std::move(entries_),
                       .newest_revision = newest_,
                       .oldest_revision = oldest_};
    // Whoever begins there must find out that the key is absent.
    if (time_is_up) history.unread_revision = absent_ ? next_ + 1 : next_;
    return history;
  }

 private:
  bool Full() const {
    return wanted_.limit > 0 && static_cast<int64_t>(entries_.size()) >= wanted_.limit;
  }

  CallOptions Options() const {
    // None at all would be the client's own time.
    return {.timeout =
                std::max<Clock::duration>(end_ - Clock::now(), std::chrono::microseconds(1))};
  }

  Result<RangeResponse> Read(int64_t revision) const {
    return kv_.Range({.range = wanted_.key, .revision = revision}, Options());
  }

  // What was read at the next revision.
  void Take(const RangeResponse& response) {
    absent_ = response.kvs.empty();
    if (absent_) {
      --next_;
      return;
    }
    entries_.push_back({response.kvs.front().mod_revision, response.kvs.front()});
    next_ = response.kvs.front().mod_revision - 1;
  }

  Status LookAtNext() {
    const Result<RangeResponse> response = Read(next_);
    if (response.ok()) Take(*response);
    return response.status();
  }

  // Looks for the key, without its value, at as many revisions as one request goes: with its value
  // it would be sent once for each of them.
  Status SkipAbsence() {
    const int64_t count = std::min<int64_t>(next_ - oldest_ + 1, kTxnOperations);
    Txn txn;
    for (int64_t i = 0; i < count; ++i) {
      txn.Then(RangeRequest{.range = wanted_.key, .revision = next_ - i, .keys_only = true});
    }
    const Result<TxnResponse> response = kv_.Commit(std::move(txn), Options());
    if (!response.ok()) return response.status();
    for (const OpResponse& op : response->responses) {
      if (op.range() != nullptr && !op.range()->kvs.empty()) {
        // It is there at this revision and not at the one above.
        entries_.push_back({next_ + 1, std::nullopt});
        absent_ = false;
        break;
      }
      --next_;
    }
    return {};
  }

  // The last entry is the version that the oldest revision has, if it has one.
  void DropCompacted() {
    const auto last = std::find_if(entries_.begin(), entries_.end(), [&](const HistoryEntry& one) {
      return one.revision <= oldest_;
    });
    if (last == entries_.end()) return;
    entries_.erase(last->kv ? last + 1 : last, entries_.end());
  }

  const Kv& kv_;
  const HistoryWanted& wanted_;
  const Clock::time_point end_;
  int64_t newest_ = 0;
  int64_t oldest_ = 1;
  int64_t next_ = 0;     // The next revision to look at; all above have been.
  bool absent_ = false;  // Whether the key was not there at the one above that.
  std::vector<HistoryEntry> entries_;
};

}  // namespace

Result<int64_t> OldestRevision(const Kv& kv, int64_t newest, CallOptions options) {
  int64_t low = 1;  // All below cannot be read.
  int64_t high = newest + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const Result<RangeResponse> response = kv.Range(
        RangeRequest{.range = KeyRange::All(), .limit = 1, .revision = middle, .keys_only = true},
        options);
    if (response.ok()) {
      high = middle;
    } else if (response.status().reason() == Reason::kCompacted) {
      low = middle + 1;
    } else {
      return response.status();
    }
  }
  return low;
}

Expected<KeyHistory> ReadHistory(const Kv& kv, const HistoryWanted& wanted) {
  HistoryWalk walk(kv, wanted);
  if (const Status status = walk.Begin(); !status.ok()) return FromStatus(status);
  const Status status = walk.GoOn();
  const bool time_is_up = status.reason() == Reason::kDeadline;
  if (!status.ok() && !time_is_up) return FromStatus(status);
  return std::move(walk).Finish(time_is_up);
}

}  // namespace gavel::client::ctl
