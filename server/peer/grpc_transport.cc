#include "server/peer/grpc_transport.h"

#include <algorithm>
#include <map>
#include <utility>

#include "server/peer/grpc_connection.h"
#include "server/peer/grpc_listener.h"
#include "storage/mutex.h"

namespace gavel::server {

class GrpcPeerTransport::Impl {
 public:
  Impl(const GrpcTransportOptions& options, std::unique_ptr<GrpcListener> listener, Logger& logger,
       Metrics& metrics)
      : listener_(std::move(listener)), shared_(std::make_shared<GrpcTransportShared>()) {
    shared_->options = options;
    shared_->logger = &logger;
    shared_->metrics = &metrics;
    shared_->queue = listener_->queue().get();
  }

  ~Impl() {
    // Whoever is told of events may be gone by now.
    shared_->events = {};
    listener_->Stop();
    SetPeers({});
    // Nothing may be begun on the queue once it shuts down.
    while (!Drained()) Poll(std::nullopt);
  }

  void Begin(raft::NodeId self, PeerEvents events) {
    shared_->self = self;
    shared_->events = std::move(events);
    listener_->Serve(shared_->events.on_frame, shared_->events.on_asked);
  }

  void SetPeers(const std::vector<raft::MemberAddress>& peers) {
    std::vector<std::shared_ptr<GrpcConnection>> opened;
    {
      const MutexLock lock(mutex_);
      Connections kept;
      for (const raft::MemberAddress& peer : peers) {
        if (peer.id == shared_->self) continue;
        const auto it = connections_.find(peer.id);
        if (it != connections_.end() && it->second->address() == peer) {
          kept.insert(connections_.extract(it));
        } else {
          auto connection = std::make_shared<GrpcConnection>(shared_, peer);
          kept.emplace(peer.id, connection);
          opened.push_back(std::move(connection));
        }
      }
      for (auto& [id, connection] : connections_) {
        connection->Close();
        closing_.push_back(std::move(connection));
      }
      connections_ = std::move(kept);
    }
    for (const auto& connection : opened) connection->Start();
  }

  std::shared_ptr<GrpcConnection> Find(raft::NodeId peer) {
    const MutexLock lock(mutex_);
    const auto it = connections_.find(peer);
    return it == connections_.end() ? nullptr : it->second;
  }

  void Poll(std::optional<std::chrono::nanoseconds> timeout) { listener_->queue().Poll(timeout); }
  void Wake() { listener_->queue().Wake(); }
  const std::vector<int>& ports() const { return listener_->ports(); }

 private:
  using Connections = std::map<raft::NodeId, std::shared_ptr<GrpcConnection>>;

  bool Drained() {
    const MutexLock lock(mutex_);
    std::erase_if(closing_, [](const auto& connection) { return connection->drained(); });
    return connections_.empty() && closing_.empty();
  }

  const std::unique_ptr<GrpcListener> listener_;
  const std::shared_ptr<GrpcTransportShared> shared_;
  Mutex mutex_;
  Connections connections_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<GrpcConnection>> closing_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<GrpcPeerTransport>> GrpcPeerTransport::Listen(
    const GrpcTransportOptions& options, Logger& logger, Metrics& metrics) {
  auto listener = GrpcListener::Listen(options.listen);
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<GrpcPeerTransport>(new GrpcPeerTransport(
      std::make_unique<Impl>(options, *std::move(listener), logger, metrics)));
}

GrpcPeerTransport::GrpcPeerTransport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcPeerTransport::~GrpcPeerTransport() = default;

void GrpcPeerTransport::Begin(raft::NodeId self, PeerEvents events) {
  impl_->Begin(self, std::move(events));
}

void GrpcPeerTransport::SetPeers(const std::vector<raft::MemberAddress>& peers) {
  impl_->SetPeers(peers);
}

void GrpcPeerTransport::Send(raft::NodeId peer, std::string frame) {
  if (const auto connection = impl_->Find(peer)) connection->Send(std::move(frame));
}

void GrpcPeerTransport::OnHeardFrom(raft::NodeId peer) {
  if (const auto connection = impl_->Find(peer)) connection->OnHeardFrom();
}

void GrpcPeerTransport::Poll(std::optional<std::chrono::nanoseconds> timeout) {
  impl_->Poll(timeout);
}

void GrpcPeerTransport::Wake() { impl_->Wake(); }

const std::vector<int>& GrpcPeerTransport::ports() const { return impl_->ports(); }

}  // namespace gavel::server
