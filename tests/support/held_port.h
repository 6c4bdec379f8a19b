// A port of loopback for a server that is stopped and started again.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raft/check.h"

namespace gavel::testing {

// While it lives, nobody is given the port by chance: neither who asks for any free port nor who
// connects somewhere, and a connection's own end can be any port that nobody has bound. Servers
// that reuse addresses, as all of ours do, can listen on it.
class HeldPort {
 public:
  HeldPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    GAVEL_CHECK(socket_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    GAVEL_CHECK(::bind(socket_, any, size) == 0);
    GAVEL_CHECK(::getsockname(socket_, any, &size) == 0);
    number_ = ntohs(address.sin_port);
    const int on = 1;
    GAVEL_CHECK(::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
  }
  ~HeldPort() { ::close(socket_); }
  HeldPort(const HeldPort&) = delete;
  HeldPort& operator=(const HeldPort&) = delete;

  int number() const { return number_; }

 private:
  const int socket_;
  int number_ = 0;
};

}  // namespace gavel::testing
