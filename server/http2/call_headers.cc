// What a call's headers say, and whether it can be served.
#include "absl/strings/str_cat.h"

#include "server/http2/call.h"
#include "server/http2/grpc_text.h"
#include "server/http2/session.h"

namespace gavel::server {
namespace {

// As HTTP/2 counts the size of a list of headers.
constexpr size_t kHeaderOverhead = 32;
// Beyond so many times the limit nobody is told why; the connection ends.
constexpr size_t kPatience = 4;

}  // namespace

bool Call::OnHeader(std::string_view name, std::string_view value) {
  const size_t limit = loop_.shared().limits.header_list_bytes_max;
  header_bytes_ += name.size() + value.size() + kHeaderOverhead;
  if (header_bytes_ > limit) return header_bytes_ <= kPatience * limit;
  if (name.starts_with(':')) {
    if (name == ":path") {
      method_ = loop_.shared().Find(value);
      if (method_ == nullptr) unknown_path_ = value;
    } else if (name == ":method") {
      is_post_ = value == "POST";
    }
    return true;
  }
  if (name == "content-type") {
    is_grpc_ = IsGrpcContentType(value);
  } else if (name == "grpc-timeout") {
    const std::optional<MonotonicNs> timeout = ParseGrpcTimeout(value);
    bad_timeout_ = !timeout;
    if (timeout) deadline_ = started_ + *timeout;
  } else if (name == "grpc-encoding") {
    if (value != "identity") encoding_ = value;
  } else if (name != "te" && !name.starts_with("grpc-")) {
    KeepMetadata(name, value);
  }
  return true;
}

void Call::KeepMetadata(std::string_view name, std::string_view value) {
  if (!name.ends_with("-bin")) {
    metadata_.emplace_back(name, value);
    return;
  }
  // Several values may have been joined on the way.
  while (true) {
    const size_t comma = value.find(',');
    const std::optional<std::string> decoded = DecodeBinaryMetadata(value.substr(0, comma));
    if (decoded) {
      metadata_.emplace_back(name, *decoded);
    } else {
      bad_metadata_ = true;
    }
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

Call::Refusal Call::CheckHeaders() {
  if (header_bytes_ > loop_.shared().limits.header_list_bytes_max) {
    session_->Note(ClientLimit::kHeaders);
    return {200, {StatusCode::kResourceExhausted, "grpc: received metadata larger than max"}};
  }
  if (!is_post_) return {405, {StatusCode::kInternal, "grpc: the method of a call is POST"}};
  if (!is_grpc_) return {415, {StatusCode::kInternal, "grpc: invalid gRPC request content-type"}};
  if (bad_timeout_) return {200, {StatusCode::kInternal, "grpc: malformed grpc-timeout"}};
  if (bad_metadata_) return {200, {StatusCode::kInternal, "grpc: malformed binary metadata"}};
  if (method_ == nullptr) return {200, loop_.shared().router->Unknown(unknown_path_)};
  if (!encoding_.empty()) {
    return {200,
            {StatusCode::kUnimplemented,
             absl::StrCat("grpc: Decompressor is not installed for grpc-encoding \"", encoding_,
                          "\"")}};
  }
  return {};
}

}  // namespace gavel::server
