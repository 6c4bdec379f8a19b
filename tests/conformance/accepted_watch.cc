// The accepted differences between what watch streams receive. See accepted.h.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

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

bool SilentProgress(WatchExchange& exchange) {
  const WatchStory& gavel = exchange.gavel;
  WatchStory& etcd = exchange.etcd;
  if (!exchange.terms.haste.silent_progress || etcd.answers.empty() ||
      etcd.answers[0] != "progress" || (!gavel.answers.empty() && gavel.answers[0] == "progress")) {
    return false;
  }
  Items& items = etcd.items.at(-1);
  if (items[0].header().revision() != exchange.terms.progress_revision) return false;
  items.erase(items.begin());
  if (items.empty()) etcd.items.erase(-1);
  etcd.answers.erase(etcd.answers.begin());
  return true;
}

bool ProgressInHaste(WatchExchange& exchange) {
  const Haste& haste = exchange.terms.haste;
  if (haste.progress_requests == 0 && haste.progress_owed == 0) return false;
  WatchStory etcd = exchange.etcd;
  WatchStory gavel = exchange.gavel;
  const int64_t from_etcd = EraseProgress(&etcd);
  const int64_t from_gavel = EraseProgress(&gavel);
  // Those that were asked at rest are answered by both.
  if (from_gavel > from_etcd + haste.progress_owed ||
      from_gavel < from_etcd - haste.progress_requests) {
    return false;
  }
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

// Where an event is in the history, if it is one of it. What was before it is not known there.
std::optional<size_t> IndexOf(const WatchHistory& history, const mvccpb::Event& event) {
  for (size_t i = history.First(event.kv().mod_revision()); i < history.events().size(); ++i) {
    const mvccpb::Event& known = history.events()[i];
    if (known.kv().mod_revision() != event.kv().mod_revision()) return std::nullopt;
    if (known.type() == event.type() &&
        known.kv().SerializeAsString() == event.kv().SerializeAsString()) {
      return i;
    }
  }
  return std::nullopt;
}

// Where one side has events at the end of a run of events, just before the cancellation, that the
// other does not have, takes them out. They must be later than what both have, and in order.
bool SettleCanceled(const WatchHistory& history, Items* etcd, Items* gavel) {
  size_t i = 0;
  while (i < etcd->size() && i < gavel->size() && Equal((*etcd)[i], (*gavel)[i])) ++i;
  if (i == etcd->size() || i == gavel->size()) return false;
  const bool etcd_has_more = IsEvent((*etcd)[i]);
  Items& more = etcd_has_more ? *etcd : *gavel;
  const Items& less = etcd_has_more ? *gavel : *etcd;
  if (!IsEvent(more[i]) || IsEvent(less[i]) || !less[i].canceled()) return false;
  std::optional<size_t> last;
  if (i > 0 && IsEvent(more[i - 1])) last = IndexOf(history, more[i - 1].events(0));
  size_t end = i;
  for (; end < more.size() && IsEvent(more[end]); ++end) {
    const std::optional<size_t> index = IndexOf(history, more[end].events(0));
    if (!index || (last && *index <= *last)) return false;
    last = index;
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

// The watch of a negative revision is asked for alone. Gavel's answer is fixed; what etcd does with
// it depends on what else is wrong with it.
bool NegativeStart(WatchExchange& exchange) {
  if (!exchange.terms.haste.negative_start) return false;
  WatchResponse refused;
  refused.mutable_header()->set_cluster_id(1);
  refused.mutable_header()->set_member_id(1);
  refused.mutable_header()->set_raft_term(1);
  refused.mutable_header()->set_revision(exchange.terms.newest);
  refused.set_watch_id(-1);
  refused.set_created(true);
  refused.set_canceled(true);
  refused.set_cancel_reason("etcdserver: mvcc: required revision has been compacted");
  const WatchStory& gavel = exchange.gavel;
  if (gavel.items.size() != 1 || !gavel.items.contains(-1) || gavel.items.at(-1).size() != 1 ||
      !Equal(gavel.items.at(-1)[0], refused)) {
    return false;
  }
  exchange.gavel = exchange.etcd;
  return true;
}

// That Gavel has all of it, and nothing else, is judged by itself (WatchExchange).
bool ChangesAtCompacted(WatchExchange& exchange) {
  bool settled = false;
  for (const CompactedStart& start : exchange.compacted_starts) {
    if (!HasOwed(start, exchange.gavel, false) || !HasOwed(start, exchange.etcd, true)) continue;
    settled |= CopyOwed(start, exchange.etcd, &exchange.gavel);
  }
  return settled;
}

constexpr AcceptedInStreams kAccepted[] = {
    {"changes at the compacted revision",
     "etcd 3.4 drops a deletion at the compacted revision (it has kept it since 3.5.16), and what "
     "a later part of the same transaction replaced; Gavel has them for a watch that starts there",
     ChangesAtCompacted},
    {"watch of a negative revision",
     "etcd 3.4 takes it and sends all of history; as 3.7 does, Gavel says that it is compacted",
     NegativeStart},
    {"progress of nothing",
     "etcd 3.4 also answers a progress request on a stream without watches, and while one begins "
     "in the future; as 3.7 does, Gavel says nothing",
     SilentProgress},
    {"progress while events are on their way",
     "etcd 3.4 answers a progress request at once, ahead of events that it still owes "
     "(etcd 15220); Gavel answers once for all that were asked when nothing is owed",
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
