#include "server/peer/grpc_transport.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "server/peer/grpc_connection.h"

namespace gavel::server {

class GrpcPeerTransport::Impl {
 public:
  explicit Impl(std::shared_ptr<GrpcTransportShared> shared)
      : shared_(std::move(shared)), thread_([this] { Run(); }) {}

  ~Impl() {
    SetPeers({});
    {
      // Nothing may be added to the completion queue once it shuts down.
      std::unique_lock lock(mutex_);
      drained_.wait(lock, [this] { return Drained(); });
    }
    shared_->queue.Shutdown();
    thread_.join();
  }

  void SetPeers(const std::vector<raft::MemberAddress>& peers) {
    std::vector<std::shared_ptr<GrpcConnection>> opened;
    {
      const std::lock_guard lock(mutex_);
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
    const std::lock_guard lock(mutex_);
    const auto it = connections_.find(peer);
    return it == connections_.end() ? nullptr : it->second;
  }

 private:
  using Connections = std::map<raft::NodeId, std::shared_ptr<GrpcConnection>>;

  bool Drained() {
    std::erase_if(closing_, [](const auto& connection) { return connection->drained(); });
    return connections_.empty() && closing_.empty();
  }

  void Run() {
    pthread_setname_np(pthread_self(), "gavel-peers");
    void* tag = nullptr;
    bool ok = false;
    while (shared_->queue.Next(&tag, &ok)) {
      static_cast<GrpcOperation*>(tag)->OnComplete(ok);
      const std::lock_guard lock(mutex_);
      if (!closing_.empty()) drained_.notify_all();
    }
  }

  const std::shared_ptr<GrpcTransportShared> shared_;
  std::mutex mutex_;  // Guards all below but the thread.
  std::condition_variable drained_;
  Connections connections_;
  std::vector<std::shared_ptr<GrpcConnection>> closing_;
  std::thread thread_;
};

GrpcPeerTransport::GrpcPeerTransport(const GrpcTransportOptions& options, raft::NodeId self,
                                     PeerEvents events, Logger& logger, Metrics& metrics) {
  auto shared = std::make_shared<GrpcTransportShared>();
  shared->options = options;
  shared->self = self;
  shared->events = std::move(events);
  shared->logger = &logger;
  shared->metrics = &metrics;
  impl_ = std::make_shared<Impl>(std::move(shared));
}

GrpcPeerTransport::~GrpcPeerTransport() = default;

void GrpcPeerTransport::SetPeers(const std::vector<raft::MemberAddress>& peers) {
  impl_->SetPeers(peers);
}

void GrpcPeerTransport::Send(raft::NodeId peer, std::string frame) {
  if (const auto connection = impl_->Find(peer)) connection->Send(std::move(frame));
}

void GrpcPeerTransport::OnHeardFrom(raft::NodeId peer) {
  if (const auto connection = impl_->Find(peer)) connection->OnHeardFrom();
}

}  // namespace gavel::server
