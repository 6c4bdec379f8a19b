#include "client/ctl/peer_urls.h"

#include <algorithm>
#include <array>
#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"HTTP", "HTTPS", "UNIX", "UNIXS"};

// "host:port" or "[host]:port"; the port may be empty, as etcd has it.
bool IsHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.find_first_of("[]", 1) == host.size() - 1
                   : host.find_first_of(":[]") == std::string_view::npos;
}

// Why a URL is none of a peer; empty if nothing is wrong.
std::string Objection(const std::string& url) {
  const size_t colon = url.find(':');
  const std::string scheme = ToUpper(std::string_view(url).substr(0, colon));
  if (colon == std::string::npos ||
      std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end()) {
    return "URL scheme must be http, https, unix, or unixs: " + url;
  }
  std::string_view rest = std::string_view(url).substr(colon + 1);
  const bool has_host = rest.starts_with("//");
  if (has_host) rest.remove_prefix(2);
  std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  rest.remove_prefix(host.size());
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  if (!has_host || !IsHostAndPort(host)) {
    return "URL address does not have the form \"host:port\": " + url;
  }
  if (rest.starts_with('/')) return "URL must not contain a path: " + url;
  return {};
}

}  // namespace

Expected<std::vector<std::string>> ReadPeerUrls(std::string_view text) {
  std::vector<std::string> urls;
  for (const std::string& part : Split(text, ',')) {
    std::string url(Trim(part));
    if (std::string objection = Objection(url); !objection.empty()) {
      return Failure{ExitCode::kError, std::move(objection),
                     "Peer URLs look like http://host:2380, with commas between them."};
    }
    urls.push_back(std::move(url));
  }
  return urls;
}

}  // namespace gavel::client::ctl
