// Where members and clients are reached: the URLs that etcd's flags take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gavel::server {

// A checked URL: http or https with host and port, or unix with a path; nothing after it.
struct Url {
  std::string scheme;  // "http", "https", "unix" or "unixs".
  std::string host;    // Without brackets. Of a unix URL: the path.
  std::string port;    // Empty for a unix URL.

  // As it is announced to clients and peers, and compared.
  std::string Text() const;
  // As gRPC takes it: "127.0.0.1:2379", "[::1]:2379", "unix:/run/gavel.sock".
  std::string GrpcAddress() const;

  bool encrypted() const { return scheme == "https" || scheme == "unixs"; }
  bool local_socket() const { return scheme == "unix" || scheme == "unixs"; }

  friend bool operator==(const Url&, const Url&) = default;
};

absl::StatusOr<Url> ParseUrl(std::string_view text);

// A comma-separated list of at least one, sorted by its text as etcd does.
absl::StatusOr<std::vector<Url>> ParseUrls(std::string_view text);

// The texts of `urls`.
std::vector<std::string> UrlTexts(const std::vector<Url>& urls);

}  // namespace gavel::server
