// What arrives on a listening socket.
#pragma once

#include <functional>

#include "server/http2/io_loop.h"
#include "server/http2/timer_queue.h"

namespace gavel::server {

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
