#include "server/url.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace gavel::server {
namespace {

std::string Bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : absl::StrCat("[", host, "]");
}

absl::Status Malformed(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("URL address does not have the form \"host:port\": ", std::string(text)));
}

// Splits "host:port" or "[v6]:port".
absl::Status SplitAuthority(std::string_view authority, std::string_view text, Url& url) {
  size_t host_end = authority.rfind(':');
  std::string_view host = authority.substr(0, host_end);
  if (host_end == std::string_view::npos) return Malformed(text);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return Malformed(text);
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return Malformed(text);  // An IPv6 address needs its brackets.
  }
  const std::string port(authority.substr(host_end + 1));
  uint32_t number = 0;
  if (port.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return Malformed(text);
  }
  if (host.find_first_of("/?#@ \t") != std::string_view::npos) return Malformed(text);
  url.host = std::string(host);
  url.port = port;
  return absl::OkStatus();
}

}  // namespace

std::string Url::Text() const {
  if (local_socket()) return absl::StrCat(scheme, "://", host);
  return absl::StrCat(scheme, "://", Bracketed(host), ":", port);
}

std::string Url::GrpcAddress() const {
  if (local_socket()) return absl::StrCat("unix:", host);
  return absl::StrCat(Bracketed(host), ":", port);
}

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  Url url;
  const size_t scheme_end = text.find("://");
  if (scheme_end != std::string_view::npos) {
    url.scheme = absl::AsciiStrToLower(std::string(text.substr(0, scheme_end)));
  }
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "unix" &&
      url.scheme != "unixs") {
    return absl::InvalidArgumentError(
        absl::StrCat("URL scheme must be http, https, unix, or unixs: ", std::string(text)));
  }
  const std::string_view rest = text.substr(scheme_end + 3);
  if (url.local_socket()) {
    if (rest.empty()) return Malformed(text);
    url.host = std::string(rest);
    return url;
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  // etcd allows a single slash nowhere either: announced URLs are compared by their text.
  if (authority.size() != rest.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("URL must not contain a path: ", std::string(text)));
  }
  if (absl::Status status = SplitAuthority(authority, text, url); !status.ok()) return status;
  return url;
}

absl::StatusOr<std::vector<Url>> ParseUrls(std::string_view text) {
  std::vector<Url> urls;
  for (absl::string_view part : absl::StrSplit(std::string(text), ',', absl::SkipWhitespace())) {
    const std::string piece(absl::StripAsciiWhitespace(part));
    absl::StatusOr<Url> url = ParseUrl(piece);
    if (!url.ok()) return url.status();
    urls.push_back(*std::move(url));
  }
  if (urls.empty()) return absl::InvalidArgumentError("no valid URLs given");
  std::sort(urls.begin(), urls.end(),
            [](const Url& a, const Url& b) { return a.Text() < b.Text(); });
  return urls;
}

std::vector<std::string> UrlTexts(const std::vector<Url>& urls) {
  std::vector<std::string> texts;
  for (const Url& url : urls) texts.push_back(url.Text());
  return texts;
}

}  // namespace gavel::server
