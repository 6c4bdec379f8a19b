#include "tests/support/held_port.h"

#include <arpa/inet.h>

#include <cerrno>

#include "gtest/gtest.h"

namespace gavel::testing {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// Binds and listens as a server does; 0 or the number of the error.
int Listen(int port, bool reuse, int* socket) {
  *socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = reuse ? 1 : 0;
  ::setsockopt(*socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = Loopback(port);
  if (::bind(*socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno;
  }
  return ::listen(*socket, 8) == 0 ? 0 : errno;
}

TEST(HeldPortTest, AServerListensOnItAgainAndAgain) {
  const HeldPort port;
  for (int round = 0; round < 3; ++round) {
    int socket = -1;
    EXPECT_EQ(Listen(port.number(), true, &socket), 0);
    ::close(socket);
  }
}

TEST(HeldPortTest, NobodyElseIsGivenIt) {
  const HeldPort port;
  int socket = -1;
  EXPECT_EQ(Listen(port.number(), false, &socket), EADDRINUSE);
  ::close(socket);
}

// A client whose own end came to be the port it connects to would be connected to itself.
TEST(HeldPortTest, WhileNobodyListensConnectionsAreRefused) {
  const HeldPort port;
  const sockaddr_in address = Loopback(port.number());
  for (int i = 0; i < 100; ++i) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_NE(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(errno, ECONNREFUSED);
    ::close(client);
  }
}

}  // namespace
}  // namespace gavel::testing
