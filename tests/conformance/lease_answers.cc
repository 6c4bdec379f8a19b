#include "tests/conformance/lease_answers.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "proto/etcdserverpb/lease.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::LeaseLeasesResponse;
using etcdserverpb::LeaseTimeToLiveResponse;

std::vector<std::string> SortedKeys(const LeaseTimeToLiveResponse& response) {
  std::vector<std::string> keys(response.keys().begin(), response.keys().end());
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<int64_t> SortedIds(const LeaseLeasesResponse& response) {
  std::vector<int64_t> ids;
  for (const etcdserverpb::LeaseStatus& lease : response.leases()) ids.push_back(lease.id());
  std::sort(ids.begin(), ids.end());
  return ids;
}

// Whether the first may end no later than the second.
bool MayEndFirst(int64_t first, int64_t second, const Terms& terms) {
  if (terms.lease_ends == nullptr) return false;
  const auto one = terms.lease_ends->find(first);
  const auto other = terms.lease_ends->find(second);
  if (one == terms.lease_ends->end() || other == terms.lease_ends->end()) return false;
  return one->second.earliest <= other->second.latest + std::chrono::seconds(terms.slack_seconds);
}

// Whether no lease of Gavel's list stands before one that ends earlier for certain. Etcd's list
// says whom to look at: in what is equal it is no judge either.
bool InOrder(const LeaseLeasesResponse& etcd, const LeaseLeasesResponse& gavel,
             const Terms& terms) {
  std::map<int64_t, int> places;
  for (int i = 0; i < etcd.leases_size(); ++i) places[etcd.leases(i).id()] = i;
  for (int i = 0; i < gavel.leases_size(); ++i) {
    for (int j = i + 1; j < gavel.leases_size(); ++j) {
      const int64_t first = gavel.leases(i).id();
      const int64_t second = gavel.leases(j).id();
      if (places[first] > places[second] && !MayEndFirst(first, second, terms)) return false;
    }
  }
  return true;
}

}  // namespace

bool SettleTimeLeft(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const LeaseTimeToLiveResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<LeaseTimeToLiveResponse*>(exchange.gavel.body.get());
  if (etcd == nullptr || gavel == nullptr || etcd->ttl() == gavel->ttl()) return false;
  // An unknown lease has -1 in both.
  if (etcd->ttl() < 0 || gavel->ttl() < 0 || gavel->ttl() > gavel->grantedttl()) return false;
  if (std::abs(etcd->ttl() - gavel->ttl()) > exchange.terms.slack_seconds) return false;
  gavel->set_ttl(etcd->ttl());
  return true;
}

bool SettleLeaseKeys(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const LeaseTimeToLiveResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<LeaseTimeToLiveResponse*>(exchange.gavel.body.get());
  if (etcd == nullptr || gavel == nullptr) return false;
  if (std::equal(etcd->keys().begin(), etcd->keys().end(), gavel->keys().begin(),
                 gavel->keys().end())) {
    return false;
  }
  if (!exchange.terms.both_are_etcd &&
      !std::is_sorted(gavel->keys().begin(), gavel->keys().end())) {
    return false;
  }
  if (SortedKeys(*etcd) != SortedKeys(*gavel)) return false;
  *gavel->mutable_keys() = etcd->keys();
  return true;
}

bool SettleLeases(Exchange& exchange) {
  const auto* etcd = dynamic_cast<const LeaseLeasesResponse*>(exchange.etcd.body.get());
  auto* gavel = dynamic_cast<LeaseLeasesResponse*>(exchange.gavel.body.get());
  if (etcd == nullptr || gavel == nullptr || SortedIds(*etcd) != SortedIds(*gavel)) return false;
  if (!InOrder(*etcd, *gavel, exchange.terms)) return false;
  bool changed = false;
  for (int i = 0; i < etcd->leases_size(); ++i) {
    if (etcd->leases(i).id() == gavel->leases(i).id()) continue;
    gavel->mutable_leases(i)->set_id(etcd->leases(i).id());
    changed = true;
  }
  return changed;
}

}  // namespace gavel::conformance
