#include "server/http2/http2_front.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "server/http2/byte_stream.h"
#include "server/http2/io_loop.h"
#include "server/http2/listener.h"
#include "server/listening_sockets.h"

namespace gavel::server {
namespace {

// What clients make this member hold, set at every scrape.
std::shared_ptr<void> AddGauges(Metrics& metrics, const std::shared_ptr<Http2Shared>& shared) {
  Gauge& connections = metrics.AddGauge("gavel_clients_connections", "Connections of clients.");
  Gauge& held = metrics.AddGauge("gavel_clients_held_bytes",
                                 "Bytes of calls, their headers and messages that are not whole.");
  Gauge& queued =
      metrics.AddGauge("gavel_clients_stream_bytes", "Bytes that wait on streams to be sent.");
  return metrics.OnScrape([&connections, &held, &queued, shared] {
    connections.Set(shared->connections());
    held.Set(static_cast<double>(shared->held()));
    queued.Set(static_cast<double>(shared->stream_bytes()));
  });
}

}  // namespace

class Http2Front::Impl {
 public:
  Impl(const Http2FrontOptions& options, std::shared_ptr<const Router> router, Clock& clock,
       Logger& logger, Metrics& metrics)
      : shared_(std::make_shared<Http2Shared>(options, std::move(router), clock, logger, metrics)) {
    if (!options.metrics_prefix.empty()) gauges_ = AddGauges(metrics, shared_);
  }

  ~Impl() { Shutdown(0); }

  absl::Status Start() {
    std::vector<int> fds;
    absl::Status status = Listen(&fds);
    const uint32_t count = std::max<uint32_t>(shared_->options.io_threads, 1);
    for (uint32_t i = 0; status.ok() && i < count; ++i) {
      loops_.push_back(std::make_shared<IoLoop>(shared_));
      status = loops_.back()->Start();
    }
    if (!status.ok()) {
      for (const int fd : fds) close(fd);
      return status;
    }
    for (const int fd : fds) {
      listeners_.push_back(
          std::make_unique<Listener>(*loops_[0], fd, [this](int accepted) { Spread(accepted); }));
    }
    loops_[0]->Run([this] {
      for (const auto& listener : listeners_) listener->Start();
    });
    return absl::OkStatus();
  }

  void Shutdown(MonotonicNs grace) {
    if (loops_.empty()) return;
    const MonotonicNs end = shared_->clock.Now() + grace;
    loops_[0]->Run([this] {
      for (const auto& listener : listeners_) listener->Close();
    });
    for (const auto& loop : loops_) loop->Drain();
    for (const auto& loop : loops_) {
      loop->AwaitDrained(std::max<MonotonicNs>(end - shared_->clock.Now(), 0));
    }
    for (const auto& loop : loops_) loop->Stop();
    // A handler that still holds an answer keeps the memory of its loop, and nothing else.
    listeners_.clear();
    loops_.clear();
  }

  const std::vector<int>& ports() const { return ports_; }

 private:
  absl::Status Listen(std::vector<int>* fds) {
    if (shared_->options.addresses.empty()) {
      return absl::UnavailableError("cannot listen on (no address): there is none");
    }
    for (const std::string& address : shared_->options.addresses) {
      absl::StatusOr<ListeningSockets> sockets = ListenOn(address);
      if (!sockets.ok()) return sockets.status();
      fds->insert(fds->end(), sockets->fds.begin(), sockets->fds.end());
      ports_.push_back(sockets->port);
    }
    return absl::OkStatus();
  }

  // A connection stays on its thread. Runs on the first of them.
  void Spread(int fd) {
    auto stream = PlainByteStream(fd);
    // Before it is handed on: the connections of a burst would wait with their descriptors.
    if (!shared_->AddConnection()) {
      shared_->teller.Note(ClientLimit::kConnections, PeerName(fd));
      return;
    }
    IoLoop& loop = *loops_[next_++ % loops_.size()];
    if (loop.InThread()) {
      loop.Adopt(std::move(stream));
    } else {
      loop.Run([&loop, stream = std::move(stream)]() mutable { loop.Adopt(std::move(stream)); });
    }
  }

  const std::shared_ptr<Http2Shared> shared_;
  std::vector<std::shared_ptr<IoLoop>> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<int> ports_;
  size_t next_ = 0;
  std::shared_ptr<void> gauges_;
};

absl::StatusOr<std::unique_ptr<Http2Front>> Http2Front::Start(const Http2FrontOptions& options,
                                                              std::shared_ptr<const Router> router,
                                                              Clock& clock, Logger& logger,
                                                              Metrics& metrics) {
  auto impl = std::make_unique<Impl>(options, std::move(router), clock, logger, metrics);
  if (absl::Status status = impl->Start(); !status.ok()) return status;
  return std::unique_ptr<Http2Front>(new Http2Front(std::move(impl)));
}

Http2Front::Http2Front(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Http2Front::~Http2Front() = default;

void Http2Front::Shutdown(MonotonicNs grace) { impl_->Shutdown(grace); }

const std::vector<int>& Http2Front::ports() const { return impl_->ports(); }

}  // namespace gavel::server
