#include "server/node/watch_metrics.h"

namespace gavel::server {
namespace {

// Set at every scrape.
struct WatchGauges {
  explicit WatchGauges(Metrics& metrics)
      : streams(metrics.AddGauge("etcd_debugging_mvcc_watch_stream_total",
                                 "Total number of watch streams.")),
        watchers(
            metrics.AddGauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.")),
        slow(metrics.AddGauge("etcd_debugging_mvcc_slow_watcher_total",
                              "Total number of watchers that are catching up.")),
        pending(metrics.AddGauge("etcd_debugging_mvcc_pending_events_total",
                                 "Total number of pending events to be sent.")),
        sent(metrics.AddGauge("etcd_debugging_mvcc_events_total",
                              "Total number of events sent by this member.")),
        synced(metrics.AddGauge("gavel_watch_synced_watchers",
                                "Watchers that are told as things happen.")),
        lag(metrics.AddGauge("gavel_watch_lag_revisions",
                             "Revisions that the slowest stream is behind.")),
        bytes(metrics.AddGauge("gavel_watch_sent_bytes_total", "Bytes of events sent.")) {}

  Gauge& streams;
  Gauge& watchers;
  Gauge& slow;
  Gauge& pending;
  Gauge& sent;
  Gauge& synced;
  Gauge& lag;
  Gauge& bytes;
};

void Refresh(const WatchGauges& gauges, const WatchHub& hub) {
  const WatchCounts counts = hub.counts();
  gauges.streams.Set(static_cast<double>(counts.streams));
  gauges.watchers.Set(static_cast<double>(counts.watchers));
  gauges.slow.Set(static_cast<double>(counts.catching_up));
  gauges.pending.Set(static_cast<double>(counts.pending_events));
  gauges.sent.Set(static_cast<double>(counts.events_sent));
  gauges.synced.Set(static_cast<double>(counts.watchers - counts.catching_up));
  gauges.lag.Set(static_cast<double>(counts.lag_revisions));
  gauges.bytes.Set(static_cast<double>(counts.bytes_sent));
}

}  // namespace

std::shared_ptr<void> AddWatchMetrics(Metrics& metrics, const WatchHub& hub) {
  return metrics.OnScrape([gauges = WatchGauges(metrics), &hub] { Refresh(gauges, hub); });
}

}  // namespace gavel::server
