#include "server/node/lease_driver.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "proto/internal/command.pb.h"
#include "raft/sim_point.h"
#include "server/node/command_bytes.h"

namespace gavel::server {
namespace {

// Leases that the scan takes at a time.
constexpr int64_t kScanLeases = 4096;

template <class Body>
raft::Proposal Encode(const raft::RequestId& id, CommandField field, const Body& body) {
  std::string bytes = EncodeCommandHeader(field, id);
  AppendCommandBody(field, body.SerializeAsString(), &bytes);
  return {id, std::make_shared<const std::string>(std::move(bytes))};
}

// Whether a deadline is set by it, so that it must be dated.
bool DatesLeases(const raft::Proposal& proposal) {
  const int field = CommandFieldOf(*proposal.payload);
  return field == static_cast<int>(CommandField::kLeaseGrant) ||
         field == static_cast<int>(CommandField::kRenewLeases);
}

bool DatesLeases(const std::vector<raft::Proposal>& proposals) {
  return std::any_of(proposals.begin(), proposals.end(),
                     [](const raft::Proposal& proposal) { return DatesLeases(proposal); });
}

// Whether the turn appends, on a leader, what must be dated.
bool DatesLeases(const CoreTurn& turn) {
  for (const CoreInput& input : turn.inputs) {
    const auto* peer = std::get_if<PeerMessages>(&input);
    if (peer == nullptr) continue;
    for (const raft::Message& message : peer->messages) {
      const auto* forward = std::get_if<raft::ForwardProposals>(&message.body);
      if (forward != nullptr && DatesLeases(forward->proposals)) return true;
    }
  }
  return DatesLeases(turn.proposals);
}

}  // namespace

LeaseMetrics::LeaseMetrics(Metrics& metrics)
    : granted(metrics.AddCounter("etcd_debugging_lease_granted_total",
                                 "The total number of granted leases.")),
      revoked(metrics.AddCounter("etcd_debugging_lease_revoked_total",
                                 "The total number of revoked leases.")),
      renewed(metrics.AddCounter("etcd_debugging_lease_renewed_total",
                                 "The number of renewed leases seen by the leader.")),
      expired(metrics.AddCounter("etcd_debugging_server_lease_expired_total",
                                 "The total number of expired leases.")),
      ttl(metrics.AddHistogram("etcd_debugging_lease_ttl_total",
                               "Bucketed histogram of lease TTLs.", ExponentialBuckets(1, 2, 24))) {
}

LeaseDriver::LeaseDriver(LeaseKeeper keeper, Surroundings surroundings, LeaseMetrics metrics)
    : keeper_(std::move(keeper)), surroundings_(std::move(surroundings)), metrics_(metrics) {}

void LeaseDriver::FindLeases(std::shared_ptr<const storage::Engine> engine) {
  scan_ = std::make_shared<storage::LeaseScan>(std::move(engine));
  ScanOn();
}

// One step; the next follows once the core has taken what it found.
void LeaseDriver::ScanOn() {
  surroundings_.queues.background.Add(
      [scan = scan_, &queues = surroundings_.queues, &failure = surroundings_.failure] {
        const absl::StatusOr<bool> all = scan->Step(kScanLeases);
        if (!all.ok()) {
          failure.Report("reading the leases",
                         "check the disk and the kernel's messages, then start this member again",
                         all.status());
          return false;
        }
        queues.core.Push(LeasesFound{scan->TakeLeases(), *all});
        return false;
      });
}

void LeaseDriver::Prepare(CoreTurn& turn) {
  for (const CoreInput& input : turn.inputs) {
    if (const auto* applied = std::get_if<Applied>(&input)) {
      Take(*applied);
    } else if (const auto* found = std::get_if<LeasesFound>(&input)) {
      keeper_.OnFound(found->leases, found->all);
      if (!found->all) ScanOn();
    }
  }
  // Read once all of the turn has been received: however long it takes from here on, nothing in
  // it is dated before it came.
  const MonotonicNs now = keeper_.leads() ? surroundings_.clock.Now() : 0;
  GAVEL_SIM_POINT("the lease clock read, nothing proposed");
  keeper_.Look(now);
  if (!keeper_.leads()) return;
  turn.first = Stamp(turn, now);
  turn.last = Expire(now);
}

void LeaseDriver::Take(const Applied& applied) {
  keeper_.OnApplied({applied.last, applied.lease_clock_ms, applied.leases});
  if (!applied.leases.empty()) Count(applied.leases);
}

void LeaseDriver::Count(const std::vector<storage::LeaseChange>& changes) {
  using Kind = storage::LeaseChange::Kind;
  std::array<int, 4> count{};  // By kind.
  for (const storage::LeaseChange& change : changes) {
    ++count[static_cast<size_t>(change.kind)];
    if (change.kind == Kind::kGranted) {
      metrics_.ttl.Observe(static_cast<double>(change.row.ttl_seconds));
    }
  }
  const auto of = [&](Kind kind) { return count[static_cast<size_t>(kind)]; };
  metrics_.granted.Increment(of(Kind::kGranted));
  metrics_.revoked.Increment(of(Kind::kRevoked) + of(Kind::kExpired));
  if (!keeper_.leads()) return;
  metrics_.renewed.Increment(of(Kind::kRenewed));
  metrics_.expired.Increment(of(Kind::kExpired));
}

std::optional<raft::Proposal> LeaseDriver::Stamp(const CoreTurn& turn, MonotonicNs now) {
  // Looking into what is proposed is worth it only if it could matter.
  stamp_ms_ = keeper_.Stamp(now, /*dating=*/true);
  if (stamp_ms_ && !keeper_.Stamp(now, /*dating=*/false) && !DatesLeases(turn)) stamp_ms_.reset();
  if (!stamp_ms_) return std::nullopt;
  internal::LeaseClock clock;
  clock.set_now_ms(*stamp_ms_);
  return Encode(surroundings_.new_id(), CommandField::kLeaseClock, clock);
}

std::optional<raft::Proposal> LeaseDriver::Expire(MonotonicNs now) {
  const std::optional<LeaseExpiries> expiries = keeper_.Expire(now);
  expiring_ = expiries.has_value();
  if (!expiring_) return std::nullopt;
  internal::ExpireLeases expire;
  expire.set_term(expiries->term.value());
  expire.set_now_ms(expiries->now_ms);
  for (const DueLease& lease : expiries->leases) {
    internal::LeaseExpiry& expiry = *expire.add_leases();
    expiry.set_id(lease.id);
    expiry.set_renewed_index(lease.renewed.value());
  }
  return Encode(surroundings_.new_id(), CommandField::kExpireLeases, expire);
}

void LeaseDriver::OnOutput(const CoreOutput& output) {
  const std::optional<int64_t> stamp_ms = std::exchange(stamp_ms_, std::nullopt);
  if (stamp_ms && output.first) keeper_.OnStamped(*stamp_ms);
  if (std::exchange(expiring_, false)) {
    if (output.last) {
      keeper_.OnExpiryAppended(*output.last);
    } else {
      keeper_.OnExpiryDropped();
    }
  }
  for (const raft::RoleChange& role : output.roles) {
    const bool leads = role.role == raft::Role::kLeader;
    keeper_.OnRole(leads ? std::optional(role.term) : std::nullopt);
  }
}

}  // namespace gavel::server
