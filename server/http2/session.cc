#include "server/http2/session.h"

#include <nghttp2/nghttp2.h>

#include <limits>
#include <utility>

#include "raft/check.h"
#include "server/http2/call.h"
#include "server/http2/connection.h"
#include "server/http2/grpc_text.h"

namespace gavel::server {
namespace {

// Whoever resets a stream that is older has had some use of it.
constexpr MonotonicNs kRapid = kNsPerSecond;
constexpr size_t kFrameHeaderBytes = 9;

nghttp2_nv Header(std::string_view name, std::string_view value,
                  uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          flags};
}

constexpr std::string_view kStatusCodes[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                             "9", "10", "11", "12", "13", "14", "15", "16"};

std::string_view CodeText(StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return kStatusCodes[number < std::size(kStatusCodes) ? number : 2];
}

std::string_view HttpStatusText(int status) {
  switch (status) {
    case 405:
      return "405";
    case 415:
      return "415";
    default:
      return "200";
  }
}

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// What libnghttp2 calls. `self` is the session; streams carry their calls.
struct SessionCallbacks {
  static Call* Find(nghttp2_session* session, int32_t stream) {
    return static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* self_ptr) {
    auto& self = *static_cast<Session*>(self_ptr);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const int32_t stream = frame->hd.stream_id;
    IoLoop& loop = self.connection_.loop();
    Call* call = loop.NewCall();
    if (!call->Open(self, stream)) {
      loop.Recycle(call);
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    self.AddCall(*call);
    nghttp2_session_set_stream_user_data(session, stream, call);
    return 0;
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* self_ptr) {
    Call* call = Find(session, frame->hd.stream_id);
    if (call == nullptr || call->rules().broken()) return 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
      call->rules().OnTrailer(View(name, name_size));
      return 0;
    }
    if (!call->rules().OnHeader(View(name, name_size), View(value, value_size))) return 0;
    if (call->OnHeader(View(name, name_size), View(value, value_size))) return 0;
    static_cast<Session*>(self_ptr)->Calm(ClientLimit::kHeaders, "too_many_headers");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnDataChunk(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data,
                         size_t size, void* self_ptr) {
    ++static_cast<Session*>(self_ptr)->progress_;
    // The connection's window is for all its streams, whichever of them is held up.
    nghttp2_session_consume_connection(session, size);
    Call* call = Find(session, stream);
    if (call == nullptr || call->rules().broken()) return 0;
    call->rules().OnData(size);
    if (call->rules().broken()) {
      return ResetBroken(session, *static_cast<Session*>(self_ptr), stream);
    }
    call->OnData(View(data, size));
    return 0;
  }

  // Costs the stream whose call broke HTTP's rules.
  static int ResetBroken(nghttp2_session* session, Session& self, int32_t stream) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_PROTOCOL_ERROR);
    return OnReset(self, nullptr);
  }

  static int OnHeadersEnd(nghttp2_session* session, const nghttp2_frame& frame, Session& self) {
    Call* call = Find(session, frame.hd.stream_id);
    if (call == nullptr) return 0;
    ++self.progress_;
    const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    const bool request = frame.headers.cat == NGHTTP2_HCAT_REQUEST;
    if (request) call->rules().OnHeadersEnd();
    // Only trailers may follow the headers.
    if (call->rules().broken() || (!request && !ends)) {
      return ResetBroken(session, self, frame.hd.stream_id);
    }
    if (request) call->OnHeaders();
    return ends ? OnEnd(session, frame, self) : 0;
  }

  static int OnEnd(nghttp2_session* session, const nghttp2_frame& frame, Session& self) {
    Call* call = Find(session, frame.hd.stream_id);
    if (call == nullptr || call->rules().broken()) return 0;
    call->rules().OnEnd();
    if (call->rules().broken()) return ResetBroken(session, self, frame.hd.stream_id);
    call->OnHalfClose();
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* self_ptr) {
    auto& self = *static_cast<Session*>(self_ptr);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        return OnHeadersEnd(session, *frame, self);
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) return OnEnd(session, *frame, self);
        return frame->hd.length == 0 ? OnIdleFrame(self) : 0;
      case NGHTTP2_RST_STREAM:
        return OnReset(self, Find(session, frame->hd.stream_id));
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
        if (self.pings_.OnPing(self.connection_.loop().now())) return OnIdleFrame(self);
        self.Calm(ClientLimit::kPings, "too_many_pings");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
        self.settled_ = true;
        return OnIdleFrame(self);
      default:
        return 0;
    }
  }

  static int OnIdleFrame(Session& self) {
    if (!self.Flooded(self.idle_frames_)) return 0;
    self.Calm(ClientLimit::kIdleFrames, "too_many_idle_frames");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnReset(Session& self, const Call* call) {
    if (call != nullptr && self.connection_.loop().now() - call->opened() > kRapid) return 0;
    if (!self.Flooded(self.resets_)) return 0;
    self.Calm(ClientLimit::kResets, "too_many_resets");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  // A frame for which we reset its stream, or worse.
  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int error, void* self_ptr) {
    if (error == NGHTTP2_ERR_REFUSED_STREAM) {
      static_cast<Session*>(self_ptr)->Note(ClientLimit::kStreams);
    }
    return OnReset(*static_cast<Session*>(self_ptr), nullptr);
  }

  static int OnStreamClose(nghttp2_session* session, int32_t stream, uint32_t, void* self_ptr) {
    Call* call = Find(session, stream);
    if (call == nullptr) return 0;
    static_cast<Session*>(self_ptr)->RemoveCall(*call);
    call->OnClosed();
    return 0;
  }

  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* self_ptr) {
    if (frame->hd.type == NGHTTP2_GOAWAY) OnGoAwaySent(*frame, *static_cast<Session*>(self_ptr));
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    static_cast<Session*>(self_ptr)->pings_.OnSent();
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    const Call* call = Find(session, frame->hd.stream_id);
    if (call == nullptr || call->half_closed()) return 0;
    // The answer is whole, and the client is told to stop sending.
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static void OnGoAwaySent(const nghttp2_frame& frame, const Session& self) {
    const uint32_t error = frame.goaway.error_code;
    // What was said of a limit, or at a shutdown, has been told; an error inside is not the
    // client's.
    if (error == NGHTTP2_NO_ERROR || error == NGHTTP2_ENHANCE_YOUR_CALM ||
        error == NGHTTP2_INTERNAL_ERROR) {
      return;
    }
    self.shared().protocol_teller.Note(ProtocolFault::kHttp2, self.peer());
  }

  static ssize_t ReadData(nghttp2_session*, int32_t stream, uint8_t*, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void* self_ptr) {
    auto* call = static_cast<Call*>(source->ptr);
    const std::optional<Call::Part> part = call->NextPart(size);
    if (!part) return NGHTTP2_ERR_DEFERRED;
    if (part->bytes > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (part->last) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      static_cast<Session*>(self_ptr)->SubmitTrailers(stream, call->finish());
    }
    return static_cast<ssize_t>(part->bytes);
  }

  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* self_ptr) {
    auto& self = *static_cast<Session*>(self_ptr);
    if (self.out_->bytes() >= self.out_bytes_max_) return NGHTTP2_ERR_WOULDBLOCK;
    self.out_->Append(View(head, kFrameHeaderBytes));
    static_cast<Call*>(source->ptr)->MovePart(*self.out_, size);
    (void)frame;
    return 0;
  }

  static std::unique_ptr<nghttp2_session_callbacks, void (*)(nghttp2_session_callbacks*)> All() {
    nghttp2_session_callbacks* all = nullptr;
    GAVEL_CHECK(nghttp2_session_callbacks_new(&all) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(all, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, OnDataChunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, OnFrame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, OnInvalidFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, OnFrameSent);
    nghttp2_session_callbacks_set_send_data_callback(all, SendData);
    return {all, nghttp2_session_callbacks_del};
  }

  static std::unique_ptr<nghttp2_option, void (*)(nghttp2_option*)> Options(
      const Http2Limits& limits) {
    nghttp2_option* options = nullptr;
    GAVEL_CHECK(nghttp2_option_new(&options) == 0);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_no_http_messaging(options, 1);  // HeaderRules has them.
    nghttp2_option_set_max_continuations(options, limits.continuations_max);
    // Ours tells apart what is rapid.
    nghttp2_option_set_stream_reset_rate_limit(options, std::numeric_limits<uint32_t>::max(),
                                               std::numeric_limits<uint32_t>::max());
    return {options, nghttp2_option_del};
  }
};

Session::Session(Connection& connection)
    : connection_(connection),
      pings_(shared().options.keepalive_min_time),
      resets_(shared().limits.resets_burst, shared().limits.resets_per_second),
      idle_frames_(shared().limits.idle_frames_burst, shared().limits.idle_frames_per_second) {
  const Http2Limits& limits = shared().limits;
  GAVEL_CHECK(nghttp2_session_server_new2(&session_, SessionCallbacks::All().get(), this,
                                          SessionCallbacks::Options(limits).get()) == 0);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.header_list_bytes_max},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  const uint32_t streams = shared().options.max_concurrent_streams;
  if (streams != std::numeric_limits<uint32_t>::max()) {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams});
  }
  GAVEL_CHECK(
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits.connection_window_bytes));
}

Session::~Session() {
  GAVEL_CHECK(calls_.empty());
  nghttp2_session_del(session_);
}

Http2Shared& Session::shared() const { return connection_.loop().shared(); }

const std::string& Session::peer() const { return connection_.peer(); }

void Session::Receive(std::string_view bytes) {
  if (doomed_) return;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0 || doomed_) return;
  const bool flood = taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
  if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) Note(ClientLimit::kContinuations);
  if (taken == NGHTTP2_ERR_FLOODED) Note(ClientLimit::kIdleFrames);
  GoAway(flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR, "");
}

bool Session::Flooded(TokenBucket& bucket) { return !bucket.Take(connection_.loop().now()); }

void Session::Note(ClientLimit limit) const { shared().teller.Note(limit, peer()); }

void Session::Calm(ClientLimit limit, std::string_view why) {
  Note(limit);
  GoAway(NGHTTP2_ENHANCE_YOUR_CALM, why);
}

void Session::GoAway(uint32_t error, std::string_view why) {
  doomed_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), error,
                        reinterpret_cast<const uint8_t*>(why.data()), why.size());
}

void Session::Fill(OutBuffer& out, size_t bytes_max) {
  out_ = &out;
  out_bytes_max_ = bytes_max;
  while (out.bytes() < bytes_max) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) doomed_ = true;
    if (size <= 0) break;
    out.Append(View(data, static_cast<size_t>(size)));
  }
  out_ = nullptr;
}

void Session::AfterSending() {
  // Handlers write more, which is sent in the next turn.
  const std::vector<int32_t> streams = std::exchange(sent_, {});
  for (const int32_t stream : streams) {
    if (Call* call = SessionCallbacks::Find(session_, stream)) call->OnSent();
  }
}

bool Session::over() const {
  return doomed_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void Session::SendPing() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

void Session::Drain() {
  if (std::exchange(draining_, true)) return;
  const std::vector<Call*> calls = calls_;
  for (Call* call : calls) call->OnDrain();
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void Session::AbortCalls(const RpcStatus& status) {
  const std::vector<Call*> calls = calls_;
  for (Call* call : calls) call->Abort(status);
}

void Session::OnConnectionLost() {
  while (!calls_.empty()) {
    Call* call = calls_.back();
    nghttp2_session_set_stream_user_data(session_, call->stream(), nullptr);
    calls_.pop_back();
    call->OnClosed();
  }
}

void Session::SubmitHead(int32_t stream, Call& call) {
  const nghttp2_nv headers[] = {Header(":status", "200"),
                                Header("content-type", "application/grpc")};
  nghttp2_data_provider provider = {};
  provider.source.ptr = &call;
  provider.read_callback = SessionCallbacks::ReadData;
  nghttp2_submit_response(session_, stream, headers, std::size(headers), &provider);
  connection_.SetDirty();
}

void Session::SubmitTrailersOnly(int32_t stream, int http_status, const RpcStatus& status) {
  const std::string message = PercentEncode(status.message);
  nghttp2_nv headers[5] = {Header(":status", HttpStatusText(http_status)),
                           Header("content-type", "application/grpc"),
                           Header("grpc-status", CodeText(status.code))};
  size_t count = 3;
  if (!message.empty()) {
    headers[count++] =
        Header("grpc-message", message, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
  }
  if (status.code == StatusCode::kUnimplemented) {
    headers[count++] = Header("grpc-accept-encoding", "identity");
  }
  nghttp2_submit_response(session_, stream, headers, count, nullptr);
  connection_.SetDirty();
}

void Session::SubmitTrailers(int32_t stream, const RpcStatus& status) {
  connection_.SetDirty();
  nghttp2_nv trailers[2] = {Header("grpc-status", CodeText(status.code))};
  if (status.message.empty()) {
    nghttp2_submit_trailer(session_, stream, trailers, 1);
    return;
  }
  const std::string message = PercentEncode(status.message);
  trailers[1] =
      Header("grpc-message", message, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
  nghttp2_submit_trailer(session_, stream, trailers, 2);
}

void Session::Resume(int32_t stream) {
  nghttp2_session_resume_data(session_, stream);
  connection_.SetDirty();
}

void Session::Reset(int32_t stream, ResetCode code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, static_cast<uint32_t>(code));
  connection_.SetDirty();
}

void Session::GiveCredit(int32_t stream, size_t bytes) {
  nghttp2_session_consume_stream(session_, stream, bytes);
  connection_.SetDirty();
}

void Session::TakeTurns(int32_t stream) {
  nghttp2_extpri priority = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  nghttp2_session_change_extpri_stream_priority(session_, stream, &priority,
                                                /*ignore_client_signal=*/1);
}

bool Session::Hold(int64_t bytes) {
  if (!shared().Hold(bytes, held_ + bytes)) {
    Note(ClientLimit::kHeld);
    return false;
  }
  held_ += bytes;
  return true;
}

void Session::Release(int64_t bytes) {
  held_ -= bytes;
  shared().Release(bytes);
}

void Session::CallWhenSent(int32_t stream) { sent_.push_back(stream); }

void Session::AddCall(Call& call) {
  call.set_session_place(calls_.size());
  calls_.push_back(&call);
}

void Session::RemoveCall(Call& call) {
  const size_t place = call.session_place();
  calls_[place] = calls_.back();
  calls_[place]->set_session_place(place);
  calls_.pop_back();
}

}  // namespace gavel::server
