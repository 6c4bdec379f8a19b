#include "server/http2/header_rules.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "absl/strings/numbers.h"

namespace gavel::server {
namespace {

// The first three are required. The others of HTTP are for answers.
constexpr std::array<std::string_view, 5> kPseudoHeaders = {":method", ":scheme", ":path",
                                                            ":authority", ":protocol"};
constexpr uint32_t kRequired = 0b111;

constexpr std::array<std::string_view, 5> kOfOneConnection = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool IsName(std::string_view name) {
  return nghttp2_check_header_name(Bytes(name), name.size()) != 0;
}

bool IsValue(std::string_view value) {
  return nghttp2_check_header_value(Bytes(value), value.size()) != 0;
}

}  // namespace

bool HeaderRules::OnHeader(std::string_view name, std::string_view value) {
  const bool is_value = IsValue(value);
  if (!IsName(name)) {
    broken_ = true;
  } else if (name.starts_with(':')) {
    if (!is_value) broken_ = true;
    OnPseudoHeader(name, value);
  } else {
    OnPlainHeader(name, value);
  }
  return is_value;
}

void HeaderRules::OnPseudoHeader(std::string_view name, std::string_view value) {
  const auto* const known = std::find(kPseudoHeaders.begin(), kPseudoHeaders.end(), name);
  const uint32_t bit = 1U << std::distance(kPseudoHeaders.begin(), known);
  const bool again = (pseudo_headers_ & bit) != 0;
  const bool empty = value.empty() && name != ":authority";
  // ':protocol' needs a setting that is never sent.
  const bool unasked = known == kPseudoHeaders.end() || name == ":protocol";
  if (plain_header_seen_ || unasked || again || empty) broken_ = true;
  pseudo_headers_ |= bit;
}

void HeaderRules::OnPlainHeader(std::string_view name, std::string_view value) {
  plain_header_seen_ = true;
  if (name == "te") {
    if (value != "trailers") broken_ = true;
  } else if (name == "content-length") {
    uint64_t length = 0;
    if (content_length_ || value.starts_with('+') ||
        !absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &length)) {
      broken_ = true;
    }
    content_length_ = length;
  } else if (std::find(kOfOneConnection.begin(), kOfOneConnection.end(), name) !=
             kOfOneConnection.end()) {
    broken_ = true;
  }
}

void HeaderRules::OnHeadersEnd() {
  if ((pseudo_headers_ & kRequired) != kRequired) broken_ = true;
}

void HeaderRules::OnTrailer(std::string_view name) {
  if (!IsName(name) || name.starts_with(':')) broken_ = true;
}

void HeaderRules::OnData(size_t bytes) {
  bytes_ += bytes;
  if (content_length_ && bytes_ > *content_length_) broken_ = true;
}

void HeaderRules::OnEnd() {
  if (content_length_ && bytes_ != *content_length_) broken_ = true;
}

}  // namespace gavel::server
