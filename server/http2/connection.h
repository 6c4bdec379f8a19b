// One connection: its socket, its greeting, what it may wait for, and its end.
//
// What is said on it, once it speaks HTTP/2, is its session's business.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "server/http2/byte_stream.h"
#include "server/http2/io_loop.h"
#include "server/http2/out_buffer.h"
#include "server/http2/session.h"
#include "server/http2/timer_queue.h"

namespace gavel::server {

// States: greeting (the first bytes tell what it speaks), open, lingering (all is said, and nothing
// is read any more; the client has a moment to read our last words, which closing would overtake),
// closed.
//
// A connection whose socket takes no more is not read from either. One whose bytes take long to
// work off waits in the loop's slow lane. So does one that sends much and asks for nothing, after a
// pause, until it asks for something.
class Connection final : public PollTarget, public Timer {
 public:
  // There is room for it, which its destruction gives back.
  Connection(IoLoop& loop, std::unique_ptr<ByteStream> stream);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False if it cannot be served.
  bool Start();
  void OnReady(uint32_t events) override;
  void OnTimer(MonotonicNs now) override;
  // Writes what has become ready during the turn.
  void OnTurnEnd();
  // Reads, or goes on with what has been read; the connection's turn in the slow lane.
  void WorkOff();
  // Takes no new calls, and closes when the last is over.
  void Drain();
  // Ends all calls as "server stopped" and closes.
  void End();

  // Has something to send.
  void SetDirty();
  IoLoop& loop() { return loop_; }
  const std::string& peer() const { return peer_; }
  bool closed() const { return state_ == State::kClosed; }
  size_t place() const { return place_; }
  void set_place(size_t place) { place_ = place; }

 private:
  enum class State : uint8_t { kGreeting, kOpen, kLingering, kClosed };

  // Ends the pause of a connection that asked for nothing.
  struct PauseTimer final : Timer {
    explicit PauseTimer(Connection& paused) : connection(paused) {}
    void OnTimer(MonotonicNs) override { connection.EnterSlowLane(); }
    Connection& connection;
  };

  void ReadOnce();
  void OnBytes(std::string_view bytes);
  // Hands `bytes` to the session, as many as the turn has time for; the rest is kept.
  void Receive(std::string_view bytes);
  void EnterSlowLane();
  // Tells the loop what the socket is watched for.
  void UpdateInterest();
  // Finds out what the client speaks.
  void Greet(std::string_view bytes);
  void OnOtherProtocol(std::string first_bytes);
  void WriteOut();
  // Writes the front of `out` until it is empty or the socket is full; false if the connection
  // has broken.
  bool Write(OutBuffer& out, size_t* budget);
  void SetBlocked(bool blocked);
  // Closes once the client has had the time to read what was sent.
  void Linger();
  void Close();
  void CheckKeepalive(MonotonicNs now);
  // Closes, for the client met `limit`.
  void GiveUp(ClientLimit limit);

  IoLoop& loop_;
  std::unique_ptr<ByteStream> stream_;
  std::unique_ptr<Session> session_;  // Null until the greeting is over.
  std::string peer_;
  std::string greeting_;
  std::string backlog_;  // Read, and not worked off.
  PauseTimer pause_{*this};
  OutBuffer pending_;  // What the socket did not take.
  size_t place_ = 0;
  MonotonicNs opened_ = 0;
  MonotonicNs last_received_ = 0;
  MonotonicNs last_written_ = 0;
  MonotonicNs ping_sent_ = 0;  // 0: none is under way.
  uint32_t interest_ = 0;
  State state_ = State::kGreeting;
  bool settled_ = false;  // Timers no longer wait for the greeting.
  bool dirty_ = false;
  bool blocked_ = false;  // The socket takes no more.
  bool in_slow_lane_ = false;
  bool suspect_ = false;  // Its last read brought nothing of use.
};

}  // namespace gavel::server
