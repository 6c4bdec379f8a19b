// What is said on an HTTP/2 connection: frames in, calls out, and back. Uses libnghttp2, which
// keeps HTTP/2's own rules; gRPC's are the calls'.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http2/abuse_guard.h"
#include "server/http2/http2_options.h"
#include "server/http2/out_buffer.h"
#include "server/rpc/status.h"

struct nghttp2_session;

namespace gavel::server {

class Call;
class Connection;

// Reset codes that calls use.
enum class ResetCode : uint32_t { kNoError = 0, kCancel = 8 };

class Session {
 public:
  explicit Session(Connection& connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // For the connection.

  void Receive(std::string_view bytes);
  // Adds frames to `out` while it has less than `bytes_max`, and as long as there are any.
  void Fill(OutBuffer& out, size_t bytes_max);
  // Tells handlers what has become of what they wrote. Not called from within the others.
  void AfterSending();
  // Nothing more will be said, once what was filled in is sent.
  bool over() const;
  // It ends by the client's fault: what it still waits for need not reach it.
  bool doomed() const { return doomed_; }
  // Grows with each call and with the data of calls.
  uint64_t progress() const { return progress_; }
  // The client has sent its settings.
  bool settled() const { return settled_; }
  void SendPing();
  // Takes no new calls: those that come are the client's to retry elsewhere.
  void Drain();
  // Ends every call with `status`, whatever it waits for.
  void AbortCalls(const RpcStatus& status);
  // Ends every call; nothing can be sent.
  void OnConnectionLost();

  // For calls. `stream` is open.

  // The headers of an answer, whose messages NextPart of `call` will give.
  void SubmitHead(int32_t stream, Call& call);
  // An answer that is only headers.
  void SubmitTrailersOnly(int32_t stream, int http_status, const RpcStatus& status);
  // The end of an answer that has a head.
  void SubmitTrailers(int32_t stream, const RpcStatus& status);
  // There is something to send again.
  void Resume(int32_t stream);
  void Reset(int32_t stream, ResetCode code);
  // The client may send `bytes` more on the stream.
  void GiveCredit(int32_t stream, size_t bytes);
  // The stream takes turns with others rather than going before those that come later.
  void TakeTurns(int32_t stream);
  // Adds to what is held for the client; false, and unchanged, if that would be too much.
  bool Hold(int64_t bytes);
  void Release(int64_t bytes);
  // Has Call::OnSent run when all is written.
  void CallWhenSent(int32_t stream);
  const std::string& peer() const;
  // The client met `limit`.
  void Note(ClientLimit limit) const;

 private:
  friend struct SessionCallbacks;

  bool Flooded(TokenBucket& bucket);
  // Ends the connection once this has been told.
  void GoAway(uint32_t error, std::string_view why);
  // The same, for the client met `limit`.
  void Calm(ClientLimit limit, std::string_view why);
  void AddCall(Call& call);
  void RemoveCall(Call& call);
  Http2Shared& shared() const;

  Connection& connection_;
  nghttp2_session* session_ = nullptr;
  std::vector<Call*> calls_;   // Each knows its place.
  std::vector<int32_t> sent_;  // Streams whose calls want to know.
  PingGuard pings_;
  TokenBucket resets_;
  TokenBucket idle_frames_;
  OutBuffer* out_ = nullptr;  // While Fill runs.
  size_t out_bytes_max_ = 0;
  uint64_t progress_ = 0;
  int64_t held_ = 0;
  bool settled_ = false;
  bool draining_ = false;
  bool doomed_ = false;  // Closes when what is queued is sent.
};

}  // namespace gavel::server
