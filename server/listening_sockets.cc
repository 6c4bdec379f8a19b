#include "server/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace gavel::server {
namespace {

constexpr int kBacklog = 4096;
constexpr std::string_view kUnix = "unix:";

absl::Status CannotListen(const std::string& address, std::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", std::string(why)));
}

// A socket that listens on `name`, or -1 with errno.
int OpenSocket(const sockaddr* name, socklen_t length) {
  const int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const int off = 0;
  if (name->sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (name->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, name, length) == 0 && listen(fd, kBacklog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

absl::StatusOr<ListeningSockets> ListenOnPath(const std::string& address) {
  std::string_view path = std::string_view(address).substr(kUnix.size());
  if (path.starts_with("//")) path.remove_prefix(2);
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty()) return CannotListen(address, "there is no path");
  if (path.size() >= sizeof(name.sun_path)) return CannotListen(address, "the path is too long");
  path.copy(name.sun_path, path.size());
  // What a former process has left there, as gRPC's server does it.
  struct stat info = {};
  if (stat(name.sun_path, &info) == 0 && S_ISSOCK(info.st_mode)) unlink(name.sun_path);
  const int fd = OpenSocket(reinterpret_cast<const sockaddr*>(&name), sizeof(name));
  if (fd < 0) return CannotListen(address, std::strerror(errno));
  return ListeningSockets{{fd}, 0};
}

int PortOf(int fd) {
  sockaddr_storage name = {};
  socklen_t length = sizeof(name);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return 0;
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

void SetPort(sockaddr* name, int port) {
  if (name->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(name)->sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in*>(name)->sin_port = htons(static_cast<uint16_t>(port));
  }
}

}  // namespace

void ListeningSockets::Close() {
  for (const int fd : fds) close(fd);
  fds.clear();
}

absl::StatusOr<ListeningSockets> ListenOn(const std::string& address) {
  if (address.starts_with(kUnix)) return ListenOnPath(address);
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return CannotListen(address, "there is no port");
  std::string host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                               address.substr(colon + 1).c_str(), &hints, &found);
  if (code != 0) return CannotListen(address, gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  ListeningSockets sockets;
  int error = 0;
  for (const addrinfo* name = found; name != nullptr; name = name->ai_next) {
    // A port picked by the system is the same for all that the name stands for.
    if (sockets.port != 0) SetPort(name->ai_addr, sockets.port);
    const int fd = OpenSocket(name->ai_addr, name->ai_addrlen);
    if (fd >= 0) {
      sockets.fds.push_back(fd);
      sockets.port = PortOf(fd);
      continue;
    }
    error = errno;
    // A family that this machine does not have, or a wildcard that another one covers.
    if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL) continue;
    if (error == EADDRINUSE && host.empty() && !sockets.fds.empty()) continue;
    sockets.Close();
    return CannotListen(address, std::strerror(error));
  }
  if (sockets.fds.empty()) return CannotListen(address, std::strerror(error));
  return sockets;
}

}  // namespace gavel::server
