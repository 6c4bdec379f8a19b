// Listening sockets, and what arrives on them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "server/http2/io_loop.h"
#include "server/http2/timer_queue.h"

namespace gavel::server {

// The sockets of one address; a name may stand for several. The error names the address and why.
struct ListeningSockets {
  std::vector<int> fds;
  int port = 0;  // 0: not of a port.
};
absl::StatusOr<ListeningSockets> ListenOn(const std::string& address);

// One listening socket, on its loop's thread but for the constructor. Closes it when destroyed.
class Listener final : public PollTarget, public Timer {
 public:
  // `accept` takes each connection over.
  Listener(IoLoop& loop, int fd, std::function<void(int fd)> accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void Start();
  void Close();
  void OnReady(uint32_t events) override;
  void OnTimer(MonotonicNs now) override;

 private:
  // The system has no room for another connection; tries again after a while.
  void Pause();

  IoLoop& loop_;
  int fd_;
  const std::function<void(int fd)> accept_;
  MonotonicNs last_warning_ = 0;
};

}  // namespace gavel::server
