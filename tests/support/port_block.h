// Ports of loopback for the servers that one test process starts.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "raft/check.h"

namespace gavel::testing {

// Tests run beside each other, and the port of a member that is down looks free: so each process
// has ports that no other is given, here and in tests/cli/servers.py. They lie below the ephemeral
// ones, so that no client's own port is in the way of a member that comes back.
class PortBlock {
 public:
  static constexpr int kFirst = 20000;
  static constexpr int kSize = 200;
  static constexpr int kBlocks = 60;

  PortBlock() {
    for (int i = 0; i < kBlocks && lock_ < 0; ++i) {
      block_ = (static_cast<int>(getpid()) + i) % kBlocks;
      lock_ = Lock(block_);
    }
    GAVEL_CHECK(lock_ >= 0) << "other tests use all blocks of ports";
  }
  ~PortBlock() { close(lock_); }
  PortBlock(const PortBlock&) = delete;
  PortBlock& operator=(const PortBlock&) = delete;

  // One that nobody listens on now; the same comes again only after all others have.
  int Next() {
    for (int tries = 0; tries < kSize; ++tries) {
      const int port = kFirst + block_ * kSize + next_++ % kSize;
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(static_cast<uint16_t>(port));
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
      close(fd);
      if (free) return port;
    }
    GAVEL_CHECK(false) << "no free port on 127.0.0.1";
    return 0;
  }

 private:
  // The name in the abstract namespace goes with the process. Returns -1 if another has it.
  static int Lock(int block) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "gavel-test-ports-" + std::to_string(block);
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return fd;
    close(fd);
    return -1;
  }

  int block_ = 0;
  int lock_ = -1;
  int next_ = 0;
};

}  // namespace gavel::testing
