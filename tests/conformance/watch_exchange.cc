#include "tests/conformance/watch_exchange.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/conformance/accepted.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::WatchResponse;

std::string Short(const WatchResponse& response) {
  constexpr size_t kShown = 300;
  std::string text = response.ShortDebugString();
  if (text.size() > kShown) text = absl::StrCat(text.substr(0, kShown), "...");
  return absl::StrCat("{ ", text, " }");
}

// The items of one watch. Where one side has more, the first surplus one is shown.
void AddItems(int64_t id, const std::vector<WatchResponse>& etcd,
              const std::vector<WatchResponse>& gavel, std::vector<Difference>* differences) {
  const size_t both = std::min(etcd.size(), gavel.size());
  for (size_t i = 0; i < both; ++i) {
    const size_t before = differences->size();
    AddDifferences(etcd[i], gavel[i], absl::StrCat("watch ", id, " item ", i), differences);
    // What follows the first difference is seldom news.
    if (differences->size() > before) return;
  }
  if (etcd.size() == gavel.size()) return;
  differences->push_back({absl::StrCat("watch ", id, " item ", both),
                          both < etcd.size() ? Short(etcd[both]) : "nothing",
                          both < gavel.size() ? Short(gavel[both]) : "nothing"});
}

std::string Text(const std::vector<Cut>& cuts, size_t index) {
  if (index >= cuts.size()) return "nothing";
  const Cut& cut = cuts[index];
  return absl::StrCat(cut.events, " events under revision ", cut.header_revision,
                      cut.fragment ? ", a fragment" : "");
}

void AddCuts(int64_t id, const std::vector<Cut>& etcd, const std::vector<Cut>& gavel,
             std::vector<Difference>* differences) {
  for (size_t i = 0; i < std::max(etcd.size(), gavel.size()); ++i) {
    if (Text(etcd, i) == Text(gavel, i)) continue;
    differences->push_back(
        {absl::StrCat("watch ", id, " response ", i), Text(etcd, i), Text(gavel, i)});
    return;
  }
}

template <class Value>
const std::vector<Value>& At(const std::map<int64_t, std::vector<Value>>& by_id, int64_t id) {
  static const std::vector<Value> kNone;
  const auto found = by_id.find(id);
  return found == by_id.end() ? kNone : found->second;
}

}  // namespace

WatchExchange::WatchExchange(const WatchTerms& known, const WatchSegment& from_etcd,
                             const WatchSegment& from_gavel)
    : terms(known), etcd(Tell(from_etcd)), gavel(Tell(from_gavel)) {
  WatchContext context = known.before_etcd;
  etcd_faults = FindFaults(from_etcd, known.newest, &context);
  context = known.before_gavel;
  gavel_faults = FindFaults(from_gavel, known.newest, &context);
  if (known.history == nullptr || known.both_are_etcd) return;
  compacted_starts = FindCompactedStarts(context.created, *known.history, known.haste.canceled);
  for (const CompactedStart& start : compacted_starts) {
    if (HasOwed(start, gavel, false)) continue;
    gavel_faults.push_back(absl::StrCat("watch ", start.id, " starts at the compacted revision ",
                                        known.history->compacted(),
                                        ", and has not exactly what happened there"));
  }
}

std::vector<Difference> AllDifferences(const WatchExchange& exchange) {
  std::vector<Difference> differences;
  for (const std::string& fault : exchange.etcd_faults) {
    differences.push_back({"a fault", fault, "none"});
  }
  for (const std::string& fault : exchange.gavel_faults) {
    differences.push_back({"a fault", "none", fault});
  }
  std::set<int64_t> ids;
  for (const auto* story : {&exchange.etcd, &exchange.gavel}) {
    for (const auto& [id, items] : story->items) ids.insert(id);
  }
  for (const int64_t id : ids) {
    AddItems(id, At(exchange.etcd.items, id), At(exchange.gavel.items, id), &differences);
    AddCuts(id, At(exchange.etcd.cuts, id), At(exchange.gavel.cuts, id), &differences);
  }
  const auto& etcd = exchange.etcd.answers;
  const auto& gavel = exchange.gavel.answers;
  for (size_t i = 0; i < std::max(etcd.size(), gavel.size()); ++i) {
    const std::string left = i < etcd.size() ? etcd[i] : "nothing";
    const std::string right = i < gavel.size() ? gavel[i] : "nothing";
    if (left == right) continue;
    differences.push_back({absl::StrCat("answer ", i, " of the stream"), left, right});
    break;
  }
  return differences;
}

std::vector<Difference> Compare(const WatchTerms& terms, const WatchSegment& etcd,
                                const WatchSegment& gavel, Hits* hits) {
  WatchExchange exchange(terms, etcd, gavel);
  std::vector<Difference> differences = AllDifferences(exchange);
  if (differences.empty()) return differences;
  const size_t first = AcceptedDifferences().size();
  const auto accepted = AcceptedDifferencesInStreams();
  for (size_t i = 0; i < accepted.size(); ++i) {
    if (accepted[i].settle(exchange) && hits != nullptr) ++(*hits)[first + i];
  }
  return AllDifferences(exchange);
}

}  // namespace gavel::conformance
