#include "tests/sim/watch_history.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gavel::sim {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;
using Told = WatchRecord::Told;

bool Covers(const WatchCreateRequest& request, std::string_view candidate) {
  const std::string key = request.key().empty() ? std::string(1, '\0') : request.key();
  const std::string& end = request.range_end();
  if (end.empty()) return candidate == key;
  if (end == std::string(1, '\0')) return candidate >= key;
  return candidate >= key && candidate < end;
}

bool Filters(const WatchCreateRequest& request, bool tombstone) {
  const int unwanted = tombstone ? WatchCreateRequest::NODELETE : WatchCreateRequest::NOPUT;
  return std::count(request.filters().begin(), request.filters().end(), unwanted) > 0;
}

bool Equal(const mvccpb::KeyValue& a, const mvccpb::KeyValue& b) {
  const auto fields = [](const mvccpb::KeyValue& kv) {
    return std::tuple(std::string_view(kv.key()), kv.create_revision(), kv.mod_revision(),
                      kv.version(), std::string_view(kv.value()), kv.lease());
  };
  return fields(a) == fields(b);
}

}  // namespace

WatchHistory::WatchHistory(const testing::Model& model) : revision_(model.revision()) {
  std::vector<std::pair<std::pair<int64_t, int32_t>, Change>> changes;
  for (const auto& [key, versions] : model.versions()) {
    // What a change replaced is what was there before its revision.
    const testing::ModelVersion* before = nullptr;
    const testing::ModelVersion* last = nullptr;
    for (const testing::ModelVersion& version : versions) {
      const int64_t revision = version.kv.mod_revision();
      if (last != nullptr && last->kv.mod_revision() < revision) before = last;
      Change change{version.tombstone, version.kv, std::nullopt};
      // As etcd, which does not look for what a key that is created has replaced.
      const bool created = !version.tombstone && version.kv.create_revision() == revision;
      if (before != nullptr && !before->tombstone && !created) change.previous = before->kv;
      changes.push_back({{revision, version.sub}, std::move(change)});
      last = &version;
    }
  }
  std::sort(changes.begin(), changes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  changes_.reserve(changes.size());
  for (auto& change : changes) changes_.push_back(std::move(change.second));
}

// Goes along the history with one watcher.
class WatchHistory::Walk {
 public:
  Walk(const WatchHistory& history, const WatchRecord& record)
      : history_(history), record_(record), request_(record.request) {
    start_ = request_.start_revision() > 0 ? request_.start_revision() : record.created_at + 1;
    // Nothing before is of interest, nor is what it settles on.
    settled_ = request_.start_revision() > 0 ? start_ : record.created_at;
    told_through_ = start_ - 1;
    const auto first = std::partition_point(
        history.changes_.begin(), history.changes_.end(),
        [this](const Change& change) { return change.kv.mod_revision() < start_; });
    next_ = static_cast<size_t>(first - history.changes_.begin());
    SkipUnwanted();
  }

  std::optional<std::string> Run() {
    for (const Told& told : record_.told) {
      switch (told.kind) {
        case Told::Kind::kEvents:
          TakeEvents(told);
          break;
        case Told::Kind::kProgress:
          TakeProgress(told);
          break;
        case Told::Kind::kCompacted:
          TakeCompacted(told);
          break;
      }
      if (violation_) return violation_;
    }
    return std::nullopt;
  }

 private:
  void Fail(const std::string& what) {
    if (violation_) return;
    violation_ = absl::StrCat(what, " (watch ", record_.number, " on m", record_.member, ", id ",
                              request_.watch_id(), ", key ", absl::CHexEscape(request_.key()),
                              request_.range_end().empty() ? "" : " and more", ", from ",
                              request_.start_revision(), ", created at ", record_.created_at, ")");
  }

  bool Wanted(const Change& change) const {
    return Covers(request_, change.kv.key()) && !Filters(request_, change.tombstone);
  }
  void SkipUnwanted() {
    while (next_ < history_.changes_.size() && !Wanted(history_.changes_[next_])) ++next_;
  }
  // The revision of the next change that it is to be told of; beyond all if there is none.
  int64_t NextRevision() const {
    return next_ < history_.changes_.size() ? history_.changes_[next_].kv.mod_revision()
                                            : INT64_MAX;
  }

  void TakeEvents(const Told& told) {
    const WatchResponse& response = told.response;
    for (const mvccpb::Event& event : response.events()) {
      TakeEvent(event, told);
      if (violation_) return;
    }
    if (response.fragment()) {
      in_fragments_ = true;
      return;
    }
    in_fragments_ = false;
    if (NextRevision() == last_revision_) {
      return Fail(absl::StrCat("W4: revision ", last_revision_, " is told in part"));
    }
    TakeHeader(response.header().revision());
  }

  void TakeEvent(const mvccpb::Event& event, const Told& told) {
    const mvccpb::KeyValue& kv = event.kv();
    const int64_t revision = kv.mod_revision();
    const int64_t next = NextRevision();
    if (revision < start_) {
      return Fail(absl::StrCat("W7: told of revision ", revision, ", before its start"));
    }
    if (revision < last_revision_ || (revision == last_revision_ && next > revision)) {
      return Fail(absl::StrCat("W1, W2: told of revision ", revision, " after ", last_revision_));
    }
    if (revision > next) {
      return Fail(absl::StrCat("W3: told of revision ", revision, ", but never of ", next));
    }
    if (revision < next) {
      return Fail(absl::StrCat("W7: told of a change at revision ", revision,
                               " that it did not ask for, or that is not in the history"));
    }
    const Change& change = history_.changes_[next_];
    if ((event.type() == mvccpb::Event::DELETE) != change.tombstone || !Equal(kv, change.kv)) {
      return Fail(absl::StrCat("W7: told of another change of revision ", revision));
    }
    CheckPrevious(event, change, told.compacted);
    last_revision_ = revision;
    ++next_;
    ++history_.events_checked_;
    SkipUnwanted();
  }

  void CheckPrevious(const mvccpb::Event& event, const Change& change, int64_t compacted) {
    const int64_t revision = change.kv.mod_revision();
    if (!event.has_prev_kv()) {
      // What a change replaced may be collected once the change itself is compacted.
      if (request_.prev_kv() && change.previous && compacted < revision) {
        Fail(absl::StrCat("W7: not told what revision ", revision, " replaced"));
      }
      return;
    }
    if (!request_.prev_kv()) {
      return Fail(absl::StrCat("W7: told unasked what revision ", revision, " replaced"));
    }
    if (!change.previous || !Equal(event.prev_kv(), *change.previous)) {
      Fail(absl::StrCat("W7: told wrongly what revision ", revision, " replaced"));
    }
  }

  // All up to `revision` is said to have been told.
  void TakeHeader(int64_t revision) {
    if (NextRevision() <= revision) {
      return Fail(absl::StrCat("W6: revision ", revision, " is named before revision ",
                               NextRevision(), " is told"));
    }
    if (revision < last_revision_) {
      return Fail(absl::StrCat("W6: revision ", revision, " is named behind an event of revision ",
                               last_revision_));
    }
    if (revision > history_.revision_) {
      return Fail(absl::StrCat("W6: revision ", revision, " is named, which never was"));
    }
    told_through_ = std::max(told_through_, revision);
  }

  void TakeProgress(const Told& told) {
    if (in_fragments_) return Fail("W4: progress between fragments");
    const int64_t revision = told.response.header().revision();
    if (revision < settled_) {
      return Fail(absl::StrCat("W6: progress at ", revision, ", before its start"));
    }
    TakeHeader(revision);
  }

  void TakeCompacted(const Told& told) {
    const int64_t compacted = told.response.compact_revision();
    if (!std::binary_search(history_.compactions_.begin(), history_.compactions_.end(),
                            compacted)) {
      return Fail(absl::StrCat("C1: canceled by a compaction at ", compacted, " that never was"));
    }
    if (compacted > told.compacted) {
      return Fail(absl::StrCat("C1: canceled by a compaction at ", compacted,
                               " that is not published there"));
    }
    if (compacted <= told_through_ + 1) {
      Fail(absl::StrCat("C1: canceled by a compaction at ", compacted,
                        ", although it needs nothing below ", told_through_ + 1));
    }
  }

  const WatchHistory& history_;
  const WatchRecord& record_;
  const WatchCreateRequest& request_;
  int64_t start_ = 0;
  int64_t settled_ = 0;
  int64_t told_through_ = 0;
  int64_t last_revision_ = 0;
  size_t next_ = 0;  // The change that it is to be told of next.
  bool in_fragments_ = false;
  std::optional<std::string> violation_;
};

std::optional<std::string> WatchHistory::Check(const WatchRecord& record) const {
  return Walk(*this, record).Run();
}

}  // namespace gavel::sim
