#include "tests/conformance/compacted_start.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchResponse;
using Items = std::vector<WatchResponse>;

bool Equal(const WatchResponse& a, const WatchResponse& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// The event as an item of the watch. At the compacted revision there is no previous value: what was
// before is gone.
WatchResponse ToItem(int64_t id, const mvccpb::Event& event) {
  WatchResponse item;
  item.mutable_header()->set_cluster_id(1);
  item.mutable_header()->set_member_id(1);
  item.mutable_header()->set_raft_term(1);
  item.set_watch_id(id);
  *item.add_events() = event;
  return item;
}

// Where the watch's items of the compacted revision are; none if it was not created.
struct Place {
  size_t begin = 0;
  size_t end = 0;
};

std::optional<Place> FindPlace(const CompactedStart& start, const Items& items) {
  size_t begin = 0;
  size_t left = start.index + 1;
  for (; begin < items.size() && left > 0; ++begin) {
    if (items[begin].created() && !items[begin].canceled()) --left;
  }
  if (left > 0) return std::nullopt;
  size_t end = begin;
  const int64_t revision = start.owed[0].events(0).kv().mod_revision();
  while (end < items.size() && items[end].events_size() > 0 &&
         items[end].events(0).kv().mod_revision() == revision) {
    ++end;
  }
  return Place{begin, end};
}

// Whether the items are the first `count` of what is owed. From the end, as of several changes of a
// key that look the same the last is the one that is not dropped.
bool AreFirst(const CompactedStart& start, size_t count, std::span<const WatchResponse> items,
              bool may_lack_dropped) {
  for (size_t i = count; i-- > 0;) {
    if (!items.empty() && Equal(items.back(), start.owed[i])) {
      items = items.first(items.size() - 1);
    } else if (!may_lack_dropped || !start.dropped[i]) {
      return false;
    }
  }
  return items.empty();
}

}  // namespace

std::vector<CompactedStart> FindCompactedStarts(const CreatedWatches& created,
                                                const WatchHistory& history,
                                                const std::set<int64_t>& cut) {
  std::vector<CompactedStart> starts;
  const int64_t compacted = history.compacted();
  if (compacted == 0) return starts;
  for (const auto& [id, requests] : created) {
    for (size_t index = 0; index < requests.size(); ++index) {
      if (requests[index].start_revision() != compacted) continue;
      CompactedStart start{id, index, cut.contains(id), {}, {}};
      for (size_t i = history.First(compacted); i < history.First(compacted + 1); ++i) {
        if (!Matches(requests[index], history.events()[i])) continue;
        start.owed.push_back(ToItem(id, history.events()[i]));
        start.dropped.push_back(history.IsDropped(i));
      }
      if (!start.owed.empty()) starts.push_back(std::move(start));
    }
  }
  return starts;
}

bool HasOwed(const CompactedStart& start, const WatchStory& story, bool may_lack_dropped) {
  const auto found = story.items.find(start.id);
  if (found == story.items.end()) return false;
  const Items& items = found->second;
  const std::optional<Place> place = FindPlace(start, items);
  if (!place) return false;
  const std::span<const WatchResponse> received(items.data() + place->begin,
                                                place->end - place->begin);
  if (AreFirst(start, start.owed.size(), received, may_lack_dropped)) return true;
  if (!start.may_be_cut || place->end == items.size() || !items[place->end].canceled()) {
    return false;
  }
  for (size_t count = 0; count < start.owed.size(); ++count) {
    if (AreFirst(start, count, received, may_lack_dropped)) return true;
  }
  return false;
}

bool CopyOwed(const CompactedStart& start, const WatchStory& from, WatchStory* to) {
  const Items& source = from.items.at(start.id);
  Items& target = to->items.at(start.id);
  const Place there = FindPlace(start, source).value();
  const Place here = FindPlace(start, target).value();
  const auto at = [](auto& items, size_t place) {
    return items.begin() + static_cast<ptrdiff_t>(place);
  };
  if (std::equal(at(source, there.begin), at(source, there.end), at(target, here.begin),
                 at(target, here.end), Equal)) {
    return false;
  }
  target.erase(at(target, here.begin), at(target, here.end));
  target.insert(at(target, here.begin), at(source, there.begin), at(source, there.end));
  return true;
}

}  // namespace gavel::conformance
