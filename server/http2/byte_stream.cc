#include "server/http2/byte_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

IoResult Failed() {
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK;
  return {later ? IoResult::State::kBlocked : IoResult::State::kClosed, 0};
}

class Plain final : public ByteStream {
 public:
  explicit Plain(int fd) : fd_(fd) {}
  ~Plain() override {
    if (fd_ >= 0) close(fd_);
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  IoResult Read(char* to, size_t bytes) override {
    ssize_t count = 0;
    do {
      count = recv(fd_, to, bytes, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return Failed();
    if (count == 0) return {IoResult::State::kClosed, 0};
    return {IoResult::State::kMoved, static_cast<size_t>(count)};
  }

  IoResult Write(const iovec* parts, int count) override {
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<size_t>(count);
    ssize_t sent = 0;
    do {
      sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return Failed();
    return {IoResult::State::kMoved, static_cast<size_t>(sent)};
  }

  void ShutdownWrites() override { shutdown(fd_, SHUT_WR); }
  int fd() const override { return fd_; }
  int Release() override { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

std::unique_ptr<ByteStream> PlainByteStream(int fd) { return std::make_unique<Plain>(fd); }

std::string PeerName(int fd) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return "unknown";
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(address->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text));
    return absl::StrCat("ipv6:[", text, "]:", ntohs(address->sin6_port));
  }
  return "unix:";
}

}  // namespace gavel::server
