#include "server/http2/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace gavel::server {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr MonotonicNs kPause = 100 * kNsPerMs;
constexpr MonotonicNs kWarningInterval = 60 * kNsPerSecond;

}  // namespace

Listener::Listener(IoLoop& loop, int fd, std::function<void(int fd)> accept)
    : loop_(loop), fd_(fd), accept_(std::move(accept)) {}

Listener::~Listener() {
  if (fd_ >= 0) close(fd_);
}

void Listener::Start() { loop_.Watch(fd_, EPOLLIN, *this); }

void Listener::Close() {
  if (fd_ < 0) return;
  loop_.timers().Cancel(*this);
  loop_.Unwatch(fd_);
  close(std::exchange(fd_, -1));
}

void Listener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && fd_ >= 0; ++i) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      const int on = 1;
      // Fails on a local socket, which has no such thing.
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      accept_(fd);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) Pause();
    // Anything else is the end of one connection, or of all that wait.
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
  }
}

void Listener::Pause() {
  if (last_warning_ == 0 || loop_.now() - last_warning_ > kWarningInterval) {
    last_warning_ = loop_.now();
    loop_.shared().logger.Warn("cannot accept connections", {{"error", std::strerror(errno)}});
  }
  loop_.Unwatch(fd_);
  loop_.timers().Set(*this, loop_.now() + kPause);
  errno = EAGAIN;
}

void Listener::OnTimer(MonotonicNs) { Start(); }

}  // namespace gavel::server
