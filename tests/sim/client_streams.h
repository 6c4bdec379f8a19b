// Streams that clients hold open, both ways, on the services of the simulated members.
//
// The client's end of what server/http2 is to production: messages cross in order, each way with a
// delay of its own; a client reads when it gets to it, and what it has not read fills the stream.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "raft/random.h"
#include "server/executor.h"
#include "server/rpc/service.h"

namespace gavel::sim {

class World;

// A message that a client has read, and how the member stood when it wrote it.
struct StreamMessage {
  std::string bytes;
  int64_t revision = 0;
  int64_t compacted = 0;
  uint64_t committed = 0;  // Entries of the cluster, at that time.
};

class ClientStreams {
 public:
  // What the client's end is told; nothing after `on_end`, which comes once unless the client
  // itself ends the stream.
  struct Client {
    std::function<void(StreamMessage)> on_message;
    std::function<void(const server::RpcStatus&)> on_end;
  };

  explicit ClientStreams(World& world);
  ~ClientStreams();

  // Begins a stream on member `index`, and returns its number. Requires: `method` is a constant.
  uint64_t Open(int index, const char* method, Client client);
  // `arrived` is told which revision the member has published when the message reaches it.
  void Send(uint64_t stream, std::string message,
            std::function<void(int64_t revision)> arrived = nullptr);
  // All that the client has said has arrived.
  void Hurry(uint64_t stream);
  void HalfClose(uint64_t stream);
  // The client is gone: it says no more and hears no more.
  void Drop(uint64_t stream);
  // A message is read so long after the one before it, at most.
  void SetReading(uint64_t stream, int64_t pause_max);
  int MemberOf(uint64_t stream) const;

  // An I/O thread of a member takes what a client has said, or does the next thing that it has to
  // do, if there is any.
  bool RunBeside(int index);
  // A machine goes down, and with it its ends of the streams.
  void OnDown(int index);
  // Everything ends, without a word to anyone.
  void Clear();

 private:
  class Writer;
  class Loop;
  struct Stream {
    int index = 0;
    Client client;
    std::shared_ptr<server::StreamHandler> handler;
    std::deque<std::function<void()>> arriving;  // What the client has said, on its way.
    std::deque<std::function<void()>> inbox;     // What has arrived for the handler.
    std::deque<StreamMessage> unread;
    size_t queued = 0;  // Bytes of them.
    size_t high_mark = 0;
    int64_t last_sent = 0;  // When the client's last message arrives.
    int64_t pause_max = 0;
    bool reading = false;
    bool finished = false;
    bool broken = false;  // Its machine went down.
    server::RpcStatus status;
  };

  void Begin(uint64_t stream, const char* method);
  // Runs `work` on the stream's machine, after all that the client has said before.
  void Later(uint64_t stream, std::function<void()> work);
  void Arrive(uint64_t stream);
  void Pump(uint64_t stream);
  void Tell(uint64_t stream, const std::function<void(server::StreamHandler&)>& what);
  void Schedule(uint64_t stream);
  void Read(uint64_t stream);
  size_t OnWrite(uint64_t stream, std::string bytes);
  void OnFinish(uint64_t stream, const server::RpcStatus& status);
  void Break(uint64_t stream);
  int64_t Hop();

  World& world_;
  raft::Random random_;
  std::map<uint64_t, Stream> streams_;
  uint64_t next_stream_ = 1;
  // The I/O threads of each member, for its life.
  std::map<int, std::vector<std::shared_ptr<Loop>>> loops_;
};

}  // namespace gavel::sim
