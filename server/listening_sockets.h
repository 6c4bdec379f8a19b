// Sockets that listen on an address, or the reason why there can be none.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gavel::server {

// The sockets of one address; a name may stand for several. Whoever holds them closes them.
struct ListeningSockets {
  std::vector<int> fds;
  int port = 0;  // 0: not of a port.

  void Close();
};

// Listens on `address`, which is host:port (port 0: one that is free) or unix:path. The error is
// Unavailable, and names the address and why. Any thread; looking up a name blocks.
absl::StatusOr<ListeningSockets> ListenOn(const std::string& address);

}  // namespace gavel::server
