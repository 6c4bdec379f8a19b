#include "tests/conformance/watch_plant.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "raft/random.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchResponse;
using mvccpb::Event;
using raft::Random;

using Test = std::function<bool(const WatchResponse&)>;

// The places of the responses that fulfil `test`.
std::vector<size_t> Places(const WatchSegment& segment, const Test& test) {
  std::vector<size_t> places;
  for (size_t i = 0; i < segment.size(); ++i) {
    if (test(segment[i])) places.push_back(i);
  }
  return places;
}

bool HasEvents(const WatchResponse& response) { return response.events_size() > 0; }

bool IsAnswer(const WatchResponse& response) { return response.events_size() == 0; }

// Returns a place at random, or none.
bool Pick(Random& random, const std::vector<size_t>& places, size_t* place) {
  if (places.empty()) return false;
  *place = places[random.Below(places.size())];
  return true;
}

WatchSegment::iterator At(WatchSegment* segment, size_t place) {
  return segment->begin() + static_cast<ptrdiff_t>(place);
}

void Erase(WatchResponse* response, int index) {
  response->mutable_events()->DeleteSubrange(index, 1);
}

bool DropEvent(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return HasEvents(r) && allowed(r); }),
            &place)) {
    return false;
  }
  WatchResponse& response = (*segment)[place];
  Erase(&response, static_cast<int>(random.Below(static_cast<uint64_t>(response.events_size()))));
  if (response.events_size() == 0) segment->erase(At(segment, place));
  return true;
}

bool DoubleEvent(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return HasEvents(r) && allowed(r); }),
            &place)) {
    return false;
  }
  WatchResponse& response = (*segment)[place];
  const Event event = response.events(
      static_cast<int>(random.Below(static_cast<uint64_t>(response.events_size()))));
  *response.add_events() = event;
  return true;
}

bool SwapEvents(Random& random, const Test& allowed, WatchSegment* segment) {
  const auto several = [&](auto& r) { return r.events_size() > 1 && allowed(r); };
  size_t place = 0;
  if (!Pick(random, Places(*segment, several), &place)) return false;
  WatchResponse& response = (*segment)[place];
  const int first =
      static_cast<int>(random.Below(static_cast<uint64_t>(response.events_size() - 1)));
  response.mutable_events()->SwapElements(first, first + 1);
  return true;
}

// Two responses of one watch with events, the later first.
bool SwapResponses(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t first = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return HasEvents(r) && allowed(r); }),
            &first)) {
    return false;
  }
  for (size_t i = first + 1; i < segment->size(); ++i) {
    if ((*segment)[i].watch_id() != (*segment)[first].watch_id()) continue;
    std::swap((*segment)[i], (*segment)[first]);
    return true;
  }
  return false;
}

bool SplitRevision(Random& random, const Test& allowed, WatchSegment* segment) {
  const auto splittable = [&](const WatchResponse& response) {
    if (response.fragment() || !allowed(response)) return false;
    for (int i = 1; i < response.events_size(); ++i) {
      if (response.events(i).kv().mod_revision() == response.events(i - 1).kv().mod_revision()) {
        return true;
      }
    }
    return false;
  };
  size_t place = 0;
  if (!Pick(random, Places(*segment, splittable), &place)) return false;
  WatchResponse rest = (*segment)[place];
  int cut = 1;
  while (rest.events(cut).kv().mod_revision() != rest.events(cut - 1).kv().mod_revision()) ++cut;
  WatchResponse& begin = (*segment)[place];
  begin.mutable_events()->DeleteSubrange(cut, begin.events_size() - cut);
  rest.mutable_events()->DeleteSubrange(0, cut);
  segment->insert(At(segment, place + 1), rest);
  return true;
}

bool ProgressAhead(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return HasEvents(r) && allowed(r); }),
            &place)) {
    return false;
  }
  WatchResponse progress;
  *progress.mutable_header() = (*segment)[place].header();
  progress.set_watch_id(-1);
  segment->insert(At(segment, place), progress);
  return true;
}

bool DropAnswer(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return IsAnswer(r) && allowed(r); }), &place)) {
    return false;
  }
  segment->erase(At(segment, place));
  return true;
}

bool DoubleAnswer(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return IsAnswer(r) && allowed(r); }), &place)) {
    return false;
  }
  const WatchResponse again = (*segment)[place];
  segment->insert(At(segment, place), again);
  return true;
}

// Moves the first event behind a created message before it.
bool EventsBeforeCreated(Random& random, const Test& allowed, WatchSegment* segment) {
  const auto created = [&](auto& r) { return r.created() && !r.canceled() && allowed(r); };
  size_t place = 0;
  if (!Pick(random, Places(*segment, created), &place)) return false;
  for (size_t i = place + 1; i < segment->size(); ++i) {
    if ((*segment)[i].watch_id() != (*segment)[place].watch_id()) continue;
    if (!HasEvents((*segment)[i])) return false;
    std::rotate(At(segment, place), At(segment, i), At(segment, i + 1));
    return true;
  }
  return false;
}

bool OtherWatch(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, allowed), &place)) return false;
  (*segment)[place].set_watch_id((*segment)[place].watch_id() + 1);
  return true;
}

// Any field, but for the two that depend on how events are cut into responses.
bool ChangeField(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, allowed), &place)) return false;
  WatchResponse& response = (*segment)[place];
  const WatchResponse before = response;
  if (!Plant(response, random.Next())) return false;
  if (HasEvents(before)) {
    response.set_fragment(before.fragment());
    if (response.has_header()) response.mutable_header()->set_revision(before.header().revision());
  }
  return response.SerializeAsString() != before.SerializeAsString();
}

// The last response with events of a watch becomes a fragment that nothing follows.
bool EndlessFragment(Random& random, const Test& allowed, WatchSegment* segment) {
  size_t place = 0;
  if (!Pick(random, Places(*segment, [&](auto& r) { return HasEvents(r) && allowed(r); }),
            &place)) {
    return false;
  }
  const int64_t id = (*segment)[place].watch_id();
  for (size_t i = place + 1; i < segment->size(); ++i) {
    if ((*segment)[i].watch_id() != id) continue;
    if (!HasEvents((*segment)[i])) return false;
    place = i;
  }
  (*segment)[place].set_fragment(true);
  return true;
}

struct Change {
  const char* name;
  bool (*make)(Random& random, const Test& allowed, WatchSegment* segment);
};

constexpr Change kChanges[] = {
    {"an event is lost", DropEvent},
    {"an event is doubled", DoubleEvent},
    {"two events are swapped", SwapEvents},
    {"two responses are swapped", SwapResponses},
    {"a revision is split", SplitRevision},
    {"progress is ahead of events", ProgressAhead},
    {"an answer is lost", DropAnswer},
    {"an answer is doubled", DoubleAnswer},
    {"events come before the watch is created", EventsBeforeCreated},
    {"a response is of another watch", OtherWatch},
    {"a field is changed", ChangeField},
    {"the last fragment is missing", EndlessFragment},
};

}  // namespace

std::string Plant(const Haste& haste, uint64_t choice, WatchSegment* segment) {
  const Test allowed = [&](const WatchResponse& response) {
    if (IsProgress(response)) {
      return haste.progress_requests == 0 && haste.progress_owed == 0 && !haste.silent_progress;
    }
    return !haste.canceled.contains(response.watch_id());
  };
  Random random(choice);
  const size_t first = random.Below(std::size(kChanges));
  for (size_t i = 0; i < std::size(kChanges); ++i) {
    const Change& change = kChanges[(first + i) % std::size(kChanges)];
    const WatchSegment before = *segment;
    if (change.make(random, allowed, segment)) return change.name;
    *segment = before;
  }
  return "";
}

}  // namespace gavel::conformance
