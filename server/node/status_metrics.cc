#include "server/node/status_metrics.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

#include "server/version.h"

namespace gavel::server {
namespace {

// Set at every scrape.
struct StatusGauges {
  explicit StatusGauges(Metrics& metrics)
      : pending(metrics.AddGauge("etcd_server_proposals_pending", "Proposals without an outcome.")),
        committed(metrics.AddGauge("etcd_server_proposals_committed_total",
                                   "Index of the last entry committed.")),
        applied(metrics.AddGauge("etcd_server_proposals_applied_total",
                                 "Index of the last entry applied.")),
        learner(metrics.AddGauge("etcd_server_is_learner", "1 if this member is a learner.")),
        quota(metrics.AddGauge("etcd_server_quota_backend_bytes", "Quota of the state.")),
        size(metrics.AddGauge("etcd_mvcc_db_total_size_in_bytes", "Bytes of the state on disk.")),
        in_use(metrics.AddGauge("etcd_mvcc_db_total_size_in_use_in_bytes",
                                "Bytes of the state on disk that are not obsolete.")),
        readers(metrics.AddGauge("etcd_mvcc_db_open_read_transactions",
                                 "Reads of the state under way.")),
        keys(metrics.AddGauge("etcd_debugging_mvcc_keys_total", "Keys that exist.")),
        revision(metrics.AddGauge("etcd_debugging_mvcc_current_revision", "Newest revision.")),
        compacted(metrics.AddGauge("etcd_debugging_mvcc_compact_revision",
                                   "Revision of the last compaction.")),
        live(metrics.AddGauge("gavel_mvcc_live_bytes", "Bytes of live keys and values.")),
        superseded(metrics.AddGauge("gavel_mvcc_superseded_bytes",
                                    "Bytes of versions that are superseded and not compacted.")),
        used(metrics.AddGauge("gavel_quota_used_bytes",
                              "What --quota-backend-bytes bounds: live and superseded versions, "
                              "and leases.")),
        put_ops(metrics.AddCounter("etcd_mvcc_put_total", "Puts applied.")),
        delete_ops(metrics.AddCounter("etcd_mvcc_delete_total", "Deletions applied.")),
        txn_ops(metrics.AddCounter("etcd_mvcc_txn_total",
                                   "Transactions applied that are not of one operation.")),
        leases(metrics.AddGauge("gavel_leases", "Leases that exist.")),
        priority(metrics.AddGauge("gavel_leader_priority",
                                  "This member's --leader-priority as the cluster knows it.")),
        semantics(metrics.AddGauge("gavel_semantics_version_agreed",
                                   "Semantics version that the members have agreed on.")),
        term(metrics.AddGauge("gavel_raft_term", "Current term.")) {}

  Gauge& pending;
  Gauge& committed;
  Gauge& applied;
  Gauge& learner;
  Gauge& quota;
  Gauge& size;
  Gauge& in_use;
  Gauge& readers;
  Gauge& keys;
  Gauge& revision;
  Gauge& compacted;
  Gauge& live;
  Gauge& superseded;
  Gauge& used;
  Counter& put_ops;
  Counter& delete_ops;
  Counter& txn_ops;
  Gauge& leases;
  Gauge& priority;
  Gauge& semantics;
  Gauge& term;
};

void Refresh(const StatusGauges& gauges, const MemberGate& gate,
             const storage::StateMachine& machine) {
  const MemberStatus status = gate.status();
  gauges.pending.Set(static_cast<double>(gate.pending_proposals()));
  gauges.committed.Set(static_cast<double>(status.raft.commit.value()));
  gauges.applied.Set(static_cast<double>(status.applied.value()));
  gauges.learner.Set(status.learner ? 1 : 0);
  gauges.quota.Set(static_cast<double>(status.quota_bytes));
  gauges.size.Set(static_cast<double>(status.db_bytes));
  gauges.in_use.Set(static_cast<double>(status.db_in_use_bytes));
  gauges.readers.Set(status.db_readers);
  const storage::StateMachine::Sizes sizes = machine.sizes();
  const storage::OperationCounts operations = machine.operations();
  gauges.put_ops.RaiseTo(static_cast<double>(operations.puts));
  gauges.delete_ops.RaiseTo(static_cast<double>(operations.deletes));
  gauges.txn_ops.RaiseTo(static_cast<double>(operations.txns));
  gauges.keys.Set(static_cast<double>(sizes.keys));
  gauges.live.Set(static_cast<double>(sizes.live_bytes));
  gauges.superseded.Set(static_cast<double>(sizes.superseded_bytes));
  gauges.used.Set(static_cast<double>(sizes.used_bytes));
  gauges.leases.Set(static_cast<double>(machine.leases().count));
  gauges.semantics.Set(machine.semantics());
  const auto members = machine.members();
  for (const storage::MemberRecord& member : *members) {
    if (member.id == gate.member_id()) gauges.priority.Set(member.leader_priority);
  }
  const auto view = machine.view();
  gauges.revision.Set(static_cast<double>(view->revision));
  gauges.compacted.Set(static_cast<double>(view->compacted));
  gauges.term.Set(static_cast<double>(status.raft.term.value()));
}

// Each alarm that was seen raised since the start: 1 while it is. Operators can raise any number
// under invented ids, so not all get a gauge.
class AlarmGauges {
 public:
  explicit AlarmGauges(Metrics& metrics) : metrics_(metrics) {}

  void Refresh(const storage::AlarmTable& alarms) {
    for (auto& [alarm, gauge] : gauges_) gauge->Set(0);
    for (const storage::Alarm& alarm : alarms) {
      const std::pair key(alarm.member.value(), alarm.kind);
      auto found = gauges_.find(key);
      if (found == gauges_.end()) {
        if (gauges_.size() >= kGaugesMax) continue;
        Gauge& gauge = metrics_.AddGauge("etcd_debugging_server_alarms", "1 for a raised alarm.",
                                         {{"server_id", absl::StrFormat("%x", key.first)},
                                          {"alarm_type", storage::AlarmName(alarm.kind)}});
        found = gauges_.emplace(key, &gauge).first;
      }
      found->second->Set(1);
    }
  }

 private:
  static constexpr size_t kGaugesMax = 64;

  Metrics& metrics_;
  std::map<std::pair<uint64_t, uint32_t>, Gauge*> gauges_;
};

}  // namespace

std::shared_ptr<void> AddStatusMetrics(Metrics& metrics, const MemberGate& gate,
                                       const storage::StateMachine& machine) {
  metrics
      .AddGauge("etcd_server_id", "This member's id, as a label.",
                {{"server_id", absl::StrFormat("%x", gate.member_id().value())}})
      .Set(1);
  metrics
      .AddGauge("etcd_server_version", "The etcd release whose interface is served.",
                {{"server_version", std::string(kEtcdServerVersion)}})
      .Set(1);
  metrics
      .AddGauge("etcd_cluster_version", "The cluster's version, as etcd counts it.",
                {{"cluster_version", std::string(kEtcdClusterVersion)}})
      .Set(1);
  return metrics.OnScrape(
      [gauges = StatusGauges(metrics), alarms = AlarmGauges(metrics), &gate, &machine]() mutable {
        Refresh(gauges, gate, machine);
        alarms.Refresh(machine.limits()->alarms);
      });
}

}  // namespace gavel::server
