#include "tests/server/http2/raw_http2.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "raft/check.h"

namespace gavel::testing {
namespace {

constexpr size_t kFrameHeaderBytes = 9;

uint32_t WordAt(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

// A string of HPACK: its length with seven bits, then its bytes.
std::string HpackString(std::string_view text) {
  std::string bytes;
  if (text.size() < 127) {
    bytes += static_cast<char>(text.size());
  } else {
    bytes += static_cast<char>(127);
    size_t rest = text.size() - 127;
    for (; rest >= 128; rest /= 128) bytes += static_cast<char>(rest % 128 + 128);
    bytes += static_cast<char>(rest);
  }
  return bytes.append(text);
}

}  // namespace

std::string Word(uint32_t value) {
  std::string word;
  for (const int shift : {24, 16, 8, 0}) word += static_cast<char>(value >> shift);
  return word;
}

std::string FrameBytes(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame = Word(static_cast<uint32_t>(payload.size())).substr(1);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame.append(Word(stream)).append(payload);
}

std::string HeaderBytes(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + HpackString(name) + HpackString(value);
}

std::string CallHeaders(std::string_view path, std::string_view authority) {
  return HeaderBytes(":method", "POST") + HeaderBytes(":scheme", "http") +
         HeaderBytes(":path", path) + HeaderBytes(":authority", authority) +
         HeaderBytes("content-type", "application/grpc") + HeaderBytes("te", "trailers");
}

std::string MessageBytes(std::string_view message) {
  return std::string(1, '\0') + Word(static_cast<uint32_t>(message.size())) + std::string(message);
}

uint32_t RawFrame::error() const { return WordAt(payload, type == FrameType::kGoAway ? 4 : 0); }

std::string RawAnswer::message() const {
  const auto found = trailers.find("grpc-message");
  return found == trailers.end() ? "" : found->second;
}

std::string RawAnswer::status() const {
  const auto found = trailers.find("grpc-status");
  return found == trailers.end() ? "" : found->second;
}

namespace {

template <class Address>
int ConnectTo(const Address& address, int family) {
  const int connected = ::socket(family, SOCK_STREAM, 0);
  GAVEL_CHECK(connect(connected, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
              0);
  return connected;
}

int ConnectToPort(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connected = ConnectTo(address, AF_INET);
  const int on = 1;
  setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return connected;
}

int ConnectToPath(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  GAVEL_CHECK(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  return ConnectTo(address, AF_UNIX);
}

}  // namespace

RawHttp2::RawHttp2(int port) : RawHttp2(Connected{ConnectToPort(port)}) {}

RawHttp2::RawHttp2(const std::string& path) : RawHttp2(Connected{ConnectToPath(path)}) {}

RawHttp2::RawHttp2(Connected connected) : socket_(connected.socket) {
  timeval timeout{.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  GAVEL_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
}

RawHttp2::~RawHttp2() {
  nghttp2_hd_inflate_del(inflater_);
  close(socket_);
}

void RawHttp2::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // The server has closed the connection.
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void RawHttp2::Send(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  Send(FrameBytes(type, flags, stream, payload));
}

void RawHttp2::Greet(std::string_view settings) {
  // Ours is acknowledged before it comes, so that its windows are in force at once.
  Send(std::string(kPreface) + FrameBytes(FrameType::kSettings, 0, 0, settings) +
       FrameBytes(FrameType::kSettings, kAck, 0, ""));
}

void RawHttp2::Call(uint32_t stream, std::string_view path, std::string_view message) {
  Send(FrameBytes(FrameType::kHeaders, kEndHeaders, stream, CallHeaders(path)) +
       FrameBytes(FrameType::kData, kEndStream, stream, MessageBytes(message)));
}

bool RawHttp2::Fill(size_t bytes) {
  char buffer[65536];
  while (received_.size() < bytes) {
    const ssize_t count = recv(socket_, buffer, sizeof(buffer), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    received_.append(buffer, static_cast<size_t>(count));
  }
  return true;
}

std::optional<RawFrame> RawHttp2::Read() {
  if (!Fill(kFrameHeaderBytes)) return std::nullopt;
  const size_t length = WordAt(received_, 0) >> 8;
  RawFrame frame;
  frame.type = static_cast<FrameType>(received_[3]);
  frame.flags = static_cast<uint8_t>(received_[4]);
  frame.stream = WordAt(received_, 5) & 0x7fffffff;
  if (!Fill(kFrameHeaderBytes + length)) return std::nullopt;
  frame.payload = received_.substr(kFrameHeaderBytes, length);
  received_.erase(0, kFrameHeaderBytes + length);
  if (frame.type != FrameType::kHeaders) return frame;
  const auto* in = reinterpret_cast<const uint8_t*>(frame.payload.data());
  size_t left = frame.payload.size();
  while (true) {
    nghttp2_nv header{};
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &header, &flags, in, left, 1);
    GAVEL_CHECK(used >= 0) << "the server's headers cannot be decoded";
    in += used;
    left -= static_cast<size_t>(used);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      frame.headers[std::string(reinterpret_cast<char*>(header.name), header.namelen)] =
          std::string(reinterpret_cast<char*>(header.value), header.valuelen);
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return frame;
}

std::optional<RawFrame> RawHttp2::ReadUntil(FrameType type) {
  while (std::optional<RawFrame> frame = Read()) {
    if (frame->type == type) return frame;
  }
  return std::nullopt;
}

RawAnswer RawHttp2::ReadAnswer(uint32_t stream) {
  RawAnswer answer;
  while (std::optional<RawFrame> frame = Read()) {
    if (frame->stream != stream) continue;
    if (frame->type == FrameType::kHeaders) {
      if (answer.headers.empty()) answer.headers = frame->headers;
      answer.trailers = frame->headers;
      if (frame->ends_stream()) return answer;
    } else if (frame->type == FrameType::kData) {
      answer.data += frame->payload;
    } else if (frame->type == FrameType::kResetStream) {
      answer.reset = frame->error();
      return answer;
    }
  }
  return answer;
}

std::optional<uint32_t> RawHttp2::ReadGoAway() {
  std::optional<uint32_t> error;
  while (std::optional<RawFrame> frame = Read()) {
    if (frame->type == FrameType::kGoAway) error = frame->error();
  }
  return error;
}

std::string RawHttp2::ReadRaw() {
  Fill(SIZE_MAX);
  return received_;
}

}  // namespace gavel::testing
