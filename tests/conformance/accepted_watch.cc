// The accepted differences between what watch streams receive. See accepted.h.
#include <algorithm>
#include <string>

#include "tests/conformance/watch_exchange.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchResponse;
using Items = std::vector<WatchResponse>;

bool IsEvent(const WatchResponse& item) { return item.events_size() > 0; }

// FindFaults has judged how each side cut its events, and the items say that they are the same.
bool EventsOfAResponse(WatchExchange& exchange) {
  if (exchange.gavel.cuts == exchange.etcd.cuts) return false;
  exchange.gavel.cuts = exchange.etcd.cuts;
  return true;
}

// Takes the answers to progress requests out of a story; returns how many there were.
int64_t EraseProgress(WatchStory* story) {
  const auto found = story->items.find(-1);
  if (found == story->items.end()) return 0;
  const auto count = std::erase_if(found->second, IsProgress);
  if (found->second.empty()) story->items.erase(found);
  std::erase(story->answers, "progress");
  return static_cast<int64_t>(count);
}

bool ProgressInHaste(WatchExchange& exchange) {
  const int64_t asked = exchange.terms.haste.progress_requests;
  if (asked == 0) return false;
  WatchStory etcd = exchange.etcd;
  WatchStory gavel = exchange.gavel;
  const int64_t from_etcd = EraseProgress(&etcd);
  const int64_t from_gavel = EraseProgress(&gavel);
  // Those that were asked at rest are answered by both, in the same way.
  if (from_gavel > from_etcd || from_gavel < from_etcd - asked) return false;
  exchange.etcd = std::move(etcd);
  exchange.gavel = std::move(gavel);
  // FindFaults has seen whether Gavel's were ahead of events.
  const auto is_ahead = [](const std::string& fault) {
    return fault.ends_with("after progress beyond it");
  };
  std::erase_if(exchange.etcd_faults, is_ahead);
  if (exchange.terms.both_are_etcd) std::erase_if(exchange.gavel_faults, is_ahead);
  return true;
}

bool Equal(const WatchResponse& a, const WatchResponse& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// Whether an event is one of the history. What was before it is not known there.
bool Happened(const WatchHistory& history, const mvccpb::Event& event) {
  for (size_t i = history.First(event.kv().mod_revision()); i < history.events().size(); ++i) {
    const mvccpb::Event& known = history.events()[i];
    if (known.kv().mod_revision() != event.kv().mod_revision()) return false;
    if (known.type() == event.type() &&
        known.kv().SerializeAsString() == event.kv().SerializeAsString()) {
      return true;
    }
  }
  return false;
}

// Where one side has events at the end of a run of events, just before the cancellation, that the
// other does not have, takes them out.
bool SettleCanceled(const WatchHistory& history, Items* etcd, Items* gavel) {
  size_t i = 0;
  while (i < etcd->size() && i < gavel->size() && Equal((*etcd)[i], (*gavel)[i])) ++i;
  if (i == etcd->size() || i == gavel->size()) return false;
  const bool etcd_has_more = IsEvent((*etcd)[i]);
  Items& more = etcd_has_more ? *etcd : *gavel;
  const Items& less = etcd_has_more ? *gavel : *etcd;
  if (!IsEvent(more[i]) || IsEvent(less[i]) || !less[i].canceled()) return false;
  size_t end = i;
  while (end < more.size() && IsEvent(more[end])) {
    if (!Happened(history, more[end].events(0))) return false;
    ++end;
  }
  more.erase(more.begin() + static_cast<ptrdiff_t>(i), more.begin() + static_cast<ptrdiff_t>(end));
  return true;
}

bool CanceledInHaste(WatchExchange& exchange) {
  bool settled = false;
  for (const int64_t id : exchange.terms.haste.canceled) {
    settled |= SettleCanceled(*exchange.terms.history, &exchange.etcd.items[id],
                              &exchange.gavel.items[id]);
  }
  return settled;
}

constexpr AcceptedInStreams kAccepted[] = {
    {"progress while events are on their way",
     "etcd 3.4 answers a progress request at once, ahead of events that it still owes "
     "(etcd 15220); as 3.7 does, Gavel answers if nothing is owed",
     ProgressInHaste},
    {"events before a cancellation",
     "which of the events that are on their way still come before a watch is canceled is chance",
     CanceledInHaste},
    {"events of one response",
     "how many events and revisions share a response, and how much newer its header is, is "
     "chance; no revision is split but into fragments",
     EventsOfAResponse},
};

}  // namespace

std::span<const AcceptedInStreams> AcceptedDifferencesInStreams() { return kAccepted; }

}  // namespace gavel::conformance
