#include "tests/server/http/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raft/check.h"

namespace gavel::server {

RawConnection::RawConnection(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  GAVEL_CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  timeval timeout{.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

RawConnection::~RawConnection() { close(socket_); }

void RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // The server has closed the connection.
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string RawConnection::ReadToEnd() { return Read(SIZE_MAX); }

std::string RawConnection::Read(size_t bytes) {
  std::string received;
  char buffer[4096];
  while (received.size() < bytes) {
    const ssize_t count = recv(socket_, buffer, sizeof(buffer), 0);
    if (count <= 0) break;
    received.append(buffer, static_cast<size_t>(count));
  }
  return received;
}

std::string Exchange(uint16_t port, std::string_view request) {
  RawConnection connection(port);
  connection.Send(request);
  return connection.ReadToEnd();
}

std::string Get(uint16_t port, std::string_view target) {
  return Exchange(port, "GET " + std::string(target) +
                            " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

}  // namespace gavel::server
