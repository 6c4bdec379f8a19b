#include "tests/chaos/member_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string_view>
#include <system_error>

namespace gavel::chaos {
namespace {

// Everything that is answered until the connection ends; empty if nothing is.
std::string Get(int port, std::string_view path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request =
      "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char buffer[16384];
    for (ssize_t size; (size = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(size));
    }
  }
  close(fd);
  return answer;
}

// All metrics without labels; nullopt if the member does not answer.
std::optional<std::map<std::string, double>> ReadMetrics(const std::string& target) {
  const std::string answer = Get(atoi(target.substr(target.find(':') + 1).c_str()), "/metrics");
  if (!answer.starts_with("HTTP/1.1 200")) return std::nullopt;
  std::map<std::string, double> metrics;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    if (words >> name >> value && name.find('{') == std::string::npos) metrics[name] = value;
  }
  return metrics;
}

double CountSockets(pid_t pid) {
  int count = 0;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    const std::filesystem::path to = std::filesystem::read_symlink(entry, error);
    count += to.string().starts_with("socket:");
  }
  return count;
}

}  // namespace

std::optional<MemberLoad> ReadLoad(const std::string& target, pid_t pid) {
  const auto metrics = ReadMetrics(target);
  if (!metrics) return std::nullopt;
  MemberLoad load;
  for (const char* name : kHeldForClients) {
    const auto found = metrics->find(name);
    if (found != metrics->end()) load.held[name] = found->second;
  }
  load.held[kSockets] = CountSockets(pid);
  const auto resident = metrics->find("process_resident_memory_bytes");
  if (resident == metrics->end()) return std::nullopt;
  load.resident_bytes = resident->second;
  return load;
}

}  // namespace gavel::chaos
