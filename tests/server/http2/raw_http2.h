// HTTP/2 written by hand: frames and headers as a test wants them, whatever the rules say, and a
// reader of what comes back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct nghttp2_hd_inflater;

namespace gavel::testing {

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kResetStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

constexpr uint8_t kEndStream = 1;
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr uint8_t kPadded = 8;
constexpr uint8_t kPriorityFlag = 0x20;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Four bytes, the highest first.
std::string Word(uint32_t value);
std::string FrameBytes(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload);
// A header as a literal that is not indexed, without Huffman coding.
std::string HeaderBytes(std::string_view name, std::string_view value);
// What every call of `path` starts with.
std::string CallHeaders(std::string_view path, std::string_view authority = "localhost");
// A message as gRPC frames it.
std::string MessageBytes(std::string_view message);

struct RawFrame {
  FrameType type;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
  std::map<std::string, std::string> headers;  // Of a HEADERS frame.

  bool ends_stream() const { return (flags & kEndStream) != 0; }
  // The error code of RST_STREAM or GOAWAY.
  uint32_t error() const;
};

// How a call ended, as a client sees it.
struct RawAnswer {
  std::map<std::string, std::string> headers;   // Of the first HEADERS.
  std::map<std::string, std::string> trailers;  // Of the last, which may be the same.
  std::string data;
  std::optional<uint32_t> reset;

  // The text of grpc-message, as it came.
  std::string message() const;
  std::string status() const;
};

// A connection over loopback.
class RawHttp2 {
 public:
  explicit RawHttp2(int port);
  // To the local socket at `path`.
  explicit RawHttp2(const std::string& path);
  ~RawHttp2();
  RawHttp2(const RawHttp2&) = delete;
  RawHttp2& operator=(const RawHttp2&) = delete;

  void Send(std::string_view bytes);
  void Send(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload);
  // The preface and settings of ours.
  void Greet(std::string_view settings = {});
  // Headers, and a message that ends the stream.
  void Call(uint32_t stream, std::string_view path, std::string_view message);

  // The next frame; nothing when the connection is closed or silent for ten seconds.
  std::optional<RawFrame> Read();
  // Skips frames until one of `type`; nothing at the end.
  std::optional<RawFrame> ReadUntil(FrameType type);
  // Reads until `stream` is over.
  RawAnswer ReadAnswer(uint32_t stream);
  // Reads to the end; the GOAWAY's error code, if there was one.
  std::optional<uint32_t> ReadGoAway();
  // Everything that comes, undecoded, until the server closes.
  std::string ReadRaw();
  // Stops the reading of answers being possible: the socket is kept, and not read.
  int socket() const { return socket_; }

 private:
  // Of a socket that is connected.
  struct Connected {
    int socket;
  };
  explicit RawHttp2(Connected connected);

  bool Fill(size_t bytes);

  int socket_;
  std::string received_;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace gavel::testing
