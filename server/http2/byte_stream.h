// What lies between a socket and the session on it: bytes in, bytes out, never waiting.
//
// Plain sockets only; encryption goes here, without the session knowing of it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>

namespace gavel::server {

struct IoResult {
  enum class State { kMoved, kBlocked, kClosed };
  State state = State::kMoved;
  size_t bytes = 0;  // Only if kMoved; at least 1.
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual IoResult Read(char* to, size_t bytes) = 0;
  virtual IoResult Write(const iovec* parts, int count) = 0;
  // Tells the other end that nothing more will come.
  virtual void ShutdownWrites() = 0;
  virtual int fd() const = 0;
  // Gives the socket away, with what is unread. Requires: nothing has been written.
  virtual int Release() = 0;
};

// Owns `fd`, a connected socket that does not block.
std::unique_ptr<ByteStream> PlainByteStream(int fd);

// The other end as gRPC writes it: "ipv4:127.0.0.1:5000", "ipv6:[::1]:5000", "unix:".
std::string PeerName(int fd);

}  // namespace gavel::server
