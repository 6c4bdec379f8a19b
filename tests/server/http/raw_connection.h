// A TCP connection over loopback that sends exactly what a test says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gavel::server {

class RawConnection {
 public:
  explicit RawConnection(uint16_t port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void Send(std::string_view bytes);
  // Everything until the server closes the connection, or ten seconds have passed.
  std::string ReadToEnd();
  // Until `bytes` have arrived, or the server closes the connection.
  std::string Read(size_t bytes);

 private:
  int socket_;
};

// Sends `request` on a new connection and returns all that comes back.
std::string Exchange(uint16_t port, std::string_view request);

// A GET that asks for the connection to be closed.
std::string Get(uint16_t port, std::string_view target);

}  // namespace gavel::server
