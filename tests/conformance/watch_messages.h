// What watch streams may receive, and the verdict on it, for the tests of the comparison.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "tests/conformance/accepted.h"
#include "tests/conformance/watch_exchange.h"

namespace gavel::conformance {

inline constexpr int64_t kNewest = 20;

inline etcdserverpb::WatchResponse Response(int64_t id, int64_t revision) {
  etcdserverpb::WatchResponse response;
  response.mutable_header()->set_cluster_id(1);
  response.mutable_header()->set_member_id(1);
  response.mutable_header()->set_raft_term(1);
  response.mutable_header()->set_revision(revision);
  response.set_watch_id(id);
  return response;
}

inline etcdserverpb::WatchResponse Created(int64_t id) {
  etcdserverpb::WatchResponse response = Response(id, 1);
  response.set_created(true);
  return response;
}

inline etcdserverpb::WatchResponse Canceled(int64_t id) {
  etcdserverpb::WatchResponse response = Response(id, kNewest);
  response.set_canceled(true);
  return response;
}

inline etcdserverpb::WatchResponse Progress(int64_t revision) { return Response(-1, revision); }

inline mvccpb::Event Put(const std::string& key, int64_t revision) {
  mvccpb::Event event;
  event.mutable_kv()->set_key(key);
  event.mutable_kv()->set_mod_revision(revision);
  return event;
}

// Events of the watch under the header of the newest of them.
template <class... Events>
etcdserverpb::WatchResponse WithEvents(int64_t id, const Events&... events) {
  etcdserverpb::WatchResponse response = Response(id, 0);
  ((*response.add_events() = events), ...);
  response.mutable_header()->set_revision(
      response.events(response.events_size() - 1).kv().mod_revision());
  return response;
}

// Three watches are asked for; the second asks for fragments, the third for progress.
inline WatchTerms Known() {
  WatchTerms terms;
  terms.newest = kNewest;
  etcdserverpb::WatchCreateRequest request;
  terms.before_etcd.asked.push_back(request);
  request.set_fragment(true);
  terms.before_etcd.asked.push_back(request);
  request.set_fragment(false);
  request.set_progress_notify(true);
  terms.before_etcd.asked.push_back(request);
  terms.before_gavel = terms.before_etcd;
  return terms;
}

// As in accepted_test: the name of what was met, "different", or "equal".
inline std::string Verdict(const WatchTerms& terms, const WatchSegment& etcd,
                           const WatchSegment& gavel) {
  const auto rows = AcceptedDifferencesInStreams();
  const size_t first = AcceptedDifferences().size();
  Hits hits(first + rows.size());
  if (!Compare(terms, etcd, gavel, &hits).empty()) return "different";
  std::string met = "equal";
  for (size_t i = 0; i < rows.size(); ++i) {
    if (hits[first + i] > 0) met = rows[i].name;
  }
  return met;
}

inline std::string Verdict(const WatchSegment& etcd, const WatchSegment& gavel) {
  return Verdict(Known(), etcd, gavel);
}

}  // namespace gavel::conformance
