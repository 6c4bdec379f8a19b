#include "server/node/watch_metrics.h"

namespace gavel::server {
namespace {

// Brought up to date at every scrape.
struct WatchMetrics {
  explicit WatchMetrics(Metrics& metrics)
      : streams(metrics.AddGauge("etcd_debugging_mvcc_watch_stream_total",
                                 "Total number of watch streams.")),
        watchers(
            metrics.AddGauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.")),
        slow(metrics.AddGauge("etcd_debugging_mvcc_slow_watcher_total",
                              "Total number of watchers that are catching up.")),
        pending(metrics.AddGauge("etcd_debugging_mvcc_pending_events_total",
                                 "Total number of pending events to be sent.")),
        sent(metrics.AddCounter("etcd_debugging_mvcc_events_total",
                                "Total number of events sent by this member.")),
        synced(metrics.AddGauge("gavel_watch_synced_watchers",
                                "Watchers that are told as things happen.")),
        lag(metrics.AddGauge("gavel_watch_lag_revisions",
                             "Revisions that the slowest stream is behind.")),
        bytes(metrics.AddCounter("gavel_watch_sent_bytes_total", "Bytes of events sent.")) {}

  Gauge& streams;
  Gauge& watchers;
  Gauge& slow;
  Gauge& pending;
  Counter& sent;
  Gauge& synced;
  Gauge& lag;
  Counter& bytes;
  WatchCounts told;  // At the last scrape.
};

void Refresh(WatchMetrics& metrics, const WatchHub& hub) {
  const WatchCounts counts = hub.counts();
  metrics.streams.Set(static_cast<double>(counts.streams));
  metrics.watchers.Set(static_cast<double>(counts.watchers));
  metrics.slow.Set(static_cast<double>(counts.catching_up));
  metrics.pending.Set(static_cast<double>(counts.pending_events));
  metrics.sent.Increment(static_cast<double>(counts.events_sent - metrics.told.events_sent));
  metrics.synced.Set(static_cast<double>(counts.watchers - counts.catching_up));
  metrics.lag.Set(static_cast<double>(counts.lag_revisions));
  metrics.bytes.Increment(static_cast<double>(counts.bytes_sent - metrics.told.bytes_sent));
  metrics.told = counts;
}

}  // namespace

std::shared_ptr<void> AddWatchMetrics(Metrics& metrics, const WatchHub& hub) {
  return metrics.OnScrape([own = WatchMetrics(metrics), &hub]() mutable { Refresh(own, hub); });
}

}  // namespace gavel::server
