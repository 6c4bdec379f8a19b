// What HTTP/2 forbids in the headers and the length of a request (RFC 9113, sections 8.1 to 8.3).
//
// libnghttp2 has these rules too, but with them it resets every stream whose ':authority' or
// 'host' is not an authority. Clients of etcd send there what they were configured with, such as
// an endpoint with its scheme, and etcd serves them; so here it may be any text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gavel::server {

// Of one request: its headers, their end, data and trailers, its end. Whoever breaks a rule loses
// the stream.
class HeaderRules {
 public:
  // True if the header counts: it is passed over if its value holds what no value may.
  bool OnHeader(std::string_view name, std::string_view value);
  void OnHeadersEnd();
  void OnTrailer(std::string_view name);
  void OnData(size_t bytes);
  void OnEnd();

  bool broken() const { return broken_; }

 private:
  void OnPseudoHeader(std::string_view name, std::string_view value);
  // Those that are about one connection have no place here.
  void OnPlainHeader(std::string_view name, std::string_view value);

  uint32_t pseudo_headers_ = 0;  // A bit for each that has come.
  bool plain_header_seen_ = false;
  bool broken_ = false;
  std::optional<uint64_t> content_length_;
  uint64_t bytes_ = 0;  // Of data.
};

}  // namespace gavel::server
