#include "server/http2/connection.h"

#include <algorithm>
#include <utility>

#include "server/rpc/error_map.h"

namespace gavel::server {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kNotHttp2 =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 34\r\nConnection: close\r\n\r\nthis port speaks gRPC over HTTP/2\n";

constexpr int kPartsMax = 64;
// Frames are made up to this much ahead of the socket.
constexpr size_t kFillBytes = 256 << 10;
// One connection writes so much in a turn; then the others have theirs.
constexpr size_t kWriteBytesPerTurn = 1 << 20;
// What is read goes to the session in pieces, until they have taken so long in one turn.
constexpr size_t kPieceBytes = 4 << 10;
constexpr MonotonicNs kWorkTime = kNsPerMs / 4;
// For a connection whose last read brought more than a piece, and no call and no data.
constexpr MonotonicNs kPauseTime = 10 * kNsPerMs;
constexpr MonotonicNs kLingerTime = kNsPerSecond;
constexpr MonotonicNs kLastLingerTime = 100 * kNsPerMs;  // When the front shuts down.

bool Pings(const FrontOptions& options) {
  return options.keepalive_interval > 0 && options.keepalive_timeout > 0;
}

// How long a client may take nothing: no longer than if it were pinged, for a ping would wait
// behind all the rest.
MonotonicNs StallTimeout(const FrontOptions& options, const Http2Limits& limits) {
  const MonotonicNs longest = limits.write_stall_timeout;
  if (!Pings(options) || options.keepalive_interval >= longest) return longest;
  return options.keepalive_interval +
         std::min(options.keepalive_timeout, longest - options.keepalive_interval);
}

}  // namespace

Connection::Connection(IoLoop& loop, std::unique_ptr<ByteStream> stream)
    : loop_(loop), stream_(std::move(stream)), opened_(loop.now()), last_received_(opened_) {}

Connection::~Connection() { loop_.shared().RemoveConnection(); }

bool Connection::Start() {
  interest_ = EPOLLIN;
  if (!loop_.Watch(stream_->fd(), interest_, *this)) return false;
  peer_ = PeerName(stream_->fd());
  loop_.timers().Set(*this, opened_ + loop_.shared().limits.handshake_timeout);
  return true;
}

void Connection::OnReady(uint32_t events) {
  if (closed()) return;
  if (state_ == State::kLingering) {
    Close();
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    SetBlocked(false);
    SetDirty();
  }
  if (interest_ != EPOLLIN) {
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) Close();
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  if (suspect_) {
    EnterSlowLane();
  } else {
    ReadOnce();
  }
}

void Connection::ReadOnce() {
  auto& buffer = loop_.read_buffer();
  const IoResult read = stream_->Read(buffer.data(), buffer.size());
  switch (read.state) {
    case IoResult::State::kMoved:
      last_received_ = loop_.now();
      ping_sent_ = 0;
      OnBytes(std::string_view(buffer.data(), read.bytes));
      return;
    case IoResult::State::kBlocked:
      return;
    case IoResult::State::kClosed:
      Close();
      return;
  }
}

void Connection::OnBytes(std::string_view bytes) {
  if (session_ == nullptr) {
    Greet(bytes);
    return;
  }
  Receive(bytes);
}

void Connection::Receive(std::string_view bytes) {
  SetDirty();
  const size_t size = bytes.size();
  const uint64_t progress = session_->progress();
  const MonotonicNs begin = size > kPieceBytes ? loop_.shared().clock.Now() : 0;
  while (true) {
    session_->Receive(bytes.substr(0, kPieceBytes));
    bytes.remove_prefix(std::min(bytes.size(), kPieceBytes));
    if (bytes.empty()) break;
    if (loop_.shared().clock.Now() - begin < kWorkTime) continue;
    backlog_.assign(bytes);
    break;
  }
  suspect_ = session_->progress() == progress && (suspect_ || size >= kPieceBytes);
  if (suspect_ && !session_->doomed()) {
    loop_.timers().Set(pause_, loop_.now() + kPauseTime);
  } else if (!backlog_.empty()) {
    EnterSlowLane();
  }
  UpdateInterest();
  if (!settled_ && session_->settled()) {
    settled_ = true;
    CheckKeepalive(loop_.now());
  }
}

void Connection::EnterSlowLane() {
  if (!std::exchange(in_slow_lane_, true)) loop_.AddSlow(*this);
  UpdateInterest();
}

void Connection::WorkOff() {
  in_slow_lane_ = false;
  // When its socket takes bytes again, a blocked connection comes back.
  if (state_ != State::kOpen || blocked_) return;
  if (backlog_.empty()) {
    ReadOnce();
  } else {
    const std::string bytes = std::exchange(backlog_, std::string());
    Receive(bytes);
  }
  UpdateInterest();
}

void Connection::UpdateInterest() {
  if (closed()) return;
  uint32_t interest = EPOLLIN;
  if (state_ == State::kLingering) {
    interest = EPOLLRDHUP;
  } else if (blocked_) {
    interest = EPOLLOUT;
  } else if (!backlog_.empty() || pause_.set() || in_slow_lane_) {
    interest = 0;
  }
  if (interest == interest_) return;
  interest_ = interest;
  loop_.Rewatch(stream_->fd(), interest, *this);
}

void Connection::Greet(std::string_view bytes) {
  std::string whole = std::exchange(greeting_, std::string());
  whole.append(bytes);
  const size_t part = std::min(whole.size(), kPreface.size());
  if (whole.compare(0, part, kPreface, 0, part) != 0) {
    OnOtherProtocol(std::move(whole));
    return;
  }
  if (part < kPreface.size()) {
    greeting_ = std::move(whole);
    return;
  }
  session_ = std::make_unique<Session>(*this);
  state_ = State::kOpen;
  Receive(whole);
}

void Connection::OnOtherProtocol(std::string first_bytes) {
  const ProtocolFault fault = FaultOf(first_bytes);
  const OnHttp1Connection& hook = loop_.shared().on_http1;
  if (fault == ProtocolFault::kHttp1 && hook != nullptr) {
    loop_.Unwatch(stream_->fd());
    hook(stream_->Release(), std::move(first_bytes));
    stream_ = nullptr;
    Close();
    return;
  }
  loop_.shared().protocol_teller.Note(fault, peer_);
  if (fault != ProtocolFault::kHttp1) {
    Close();
    return;
  }
  OutBuffer answer;
  answer.Append(kNotHttp2);
  size_t budget = kWriteBytesPerTurn;
  if (Write(answer, &budget)) {
    Linger();
  } else {
    Close();
  }
}

void Connection::SetDirty() {
  if (dirty_ || state_ != State::kOpen) return;
  dirty_ = true;
  loop_.SetDirty(*this);
}

void Connection::OnTurnEnd() {
  dirty_ = false;
  if (state_ == State::kOpen && !blocked_) WriteOut();
}

void Connection::WriteOut() {
  OutBuffer& out = loop_.write_buffer();
  if (!pending_.empty()) std::swap(out, pending_);
  size_t budget = kWriteBytesPerTurn;
  bool broken = false;
  while (!blocked_ && !broken && budget > 0) {
    session_->Fill(out, kFillBytes);
    if (out.empty()) break;
    broken = !Write(out, &budget);
  }
  const bool sent = out.empty();
  if (!sent) std::swap(out, pending_);
  if (broken) {
    out.Drop(out.bytes());
    Close();
    return;
  }
  session_->AfterSending();
  if (budget == 0) SetDirty();
  if (!session_->over()) return;
  if (sent) {
    Linger();
  } else if (session_->doomed()) {
    Close();
  }
}

bool Connection::Write(OutBuffer& out, size_t* budget) {
  iovec parts[kPartsMax];
  while (!out.empty() && *budget > 0) {
    const IoResult written = stream_->Write(parts, out.Parts(parts, kPartsMax));
    if (written.state == IoResult::State::kClosed) return false;
    if (written.state == IoResult::State::kBlocked) {
      SetBlocked(true);
      return true;
    }
    last_written_ = loop_.now();
    out.Drop(written.bytes);
    *budget -= std::min(*budget, written.bytes);
  }
  return true;
}

void Connection::SetBlocked(bool blocked) {
  if (blocked_ == blocked) return;
  blocked_ = blocked;
  UpdateInterest();
  if (!blocked) {
    if (!backlog_.empty() && !pause_.set()) EnterSlowLane();
    return;
  }
  last_written_ = loop_.now();
  CheckKeepalive(loop_.now());
}

void Connection::Linger() {
  if (session_ != nullptr) session_->OnConnectionLost();
  stream_->ShutdownWrites();
  backlog_.clear();
  loop_.timers().Cancel(pause_);
  blocked_ = false;
  state_ = State::kLingering;
  UpdateInterest();
  loop_.timers().Set(*this, loop_.now() + (loop_.draining() ? kLastLingerTime : kLingerTime));
}

void Connection::Close() {
  if (closed()) return;
  if (session_ != nullptr) session_->OnConnectionLost();
  state_ = State::kClosed;
  loop_.timers().Cancel(*this);
  loop_.timers().Cancel(pause_);
  if (stream_ != nullptr) loop_.Unwatch(stream_->fd());
  loop_.Bury(*this);
}

void Connection::OnTimer(MonotonicNs now) {
  if (state_ == State::kLingering) {
    Close();
    return;
  }
  CheckKeepalive(now);
}

void Connection::CheckKeepalive(MonotonicNs now) {
  const FrontOptions& options = loop_.shared().options;
  const Http2Limits& limits = loop_.shared().limits;
  MonotonicNs next = 0;
  ClientLimit limit = ClientLimit::kPingAnswer;
  if (!settled_) {
    limit = ClientLimit::kHandshake;
    next = opened_ + limits.handshake_timeout;
  } else if (blocked_) {
    limit = ClientLimit::kWriteStall;
    next = last_written_ + StallTimeout(options, limits);
  } else if (!Pings(options)) {
    loop_.timers().Cancel(*this);
    return;
  } else if (ping_sent_ != 0) {
    next = ping_sent_ + options.keepalive_timeout;
  } else {
    next = last_received_ + options.keepalive_interval;
    if (next <= now) {
      session_->SendPing();
      SetDirty();
      ping_sent_ = now;
      next = now + options.keepalive_timeout;
    }
  }
  if (next <= now) {
    GiveUp(limit);
  } else {
    loop_.timers().Set(*this, next);
  }
}

void Connection::GiveUp(ClientLimit limit) {
  loop_.shared().teller.Note(limit, peer_);
  Close();
}

void Connection::Drain() {
  if (state_ == State::kOpen) {
    session_->Drain();
    SetDirty();
  } else if (state_ == State::kGreeting) {
    Close();
  }
}

void Connection::End() {
  if (state_ == State::kOpen) {
    session_->Drain();
    if (!blocked_) WriteOut();
  }
  if (state_ == State::kOpen && !blocked_) {
    // What has an answer is answered by now, unless its client does not take it.
    session_->AbortCalls(ToStatus(Error::kStopped));
    WriteOut();
  }
  if (closed()) return;
  stream_->ShutdownWrites();
  // To close with something unread would overtake our last words.
  stream_->Read(loop_.read_buffer().data(), loop_.read_buffer().size());
  Close();
}

}  // namespace gavel::server
