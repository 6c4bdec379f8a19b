#include "tests/conformance/chunks.h"

#include "absl/strings/str_cat.h"

#include "proto/etcdserverpb/kv.pb.h"

namespace gavel::conformance {
namespace {

using etcdserverpb::RangeResponse;
using etcdserverpb::RangeStreamResponse;

// A first chunk has so many rows at most, so that a client sees something soon.
constexpr int kFirstRowsMax = 10;

// The rule that `part` breaks, or null. `merged` is what came before it.
const char* BrokenRule(const RangeResponse& part, const RangeResponse& merged, bool first,
                       bool last) {
  if (first && part.kvs_size() > kFirstRowsMax) return "its first chunk is large";
  if (last && !part.has_header()) return "its last chunk has no header";
  if (!last && part.kvs_size() == 0) return "a chunk before the last is empty";
  if (!last && (part.has_header() || part.more() || part.count() != 0)) {
    return "a chunk before the last has a header, more or count";
  }
  if (merged.kvs_size() > 0 && part.kvs_size() > 0 &&
      merged.kvs(merged.kvs_size() - 1).key() >= part.kvs(0).key()) {
    return "its chunks overlap";
  }
  return nullptr;
}

}  // namespace

Answer MergeChunks(const std::vector<std::string>& chunks, int code, const std::string& message) {
  if (code != 0) return {code, message, ""};
  if (chunks.empty()) return {kBadStream, "the stream ended well without a chunk", ""};
  RangeResponse merged;
  for (size_t i = 0; i < chunks.size(); ++i) {
    RangeStreamResponse chunk;
    if (!chunk.ParseFromString(chunks[i]) || !chunk.has_range_response()) {
      return {kBadStream, absl::StrCat("chunk ", i, " cannot be read"), ""};
    }
    if (!chunk.GetReflection()->GetUnknownFields(chunk).empty()) {
      return {kBadStream, absl::StrCat("chunk ", i, " has unknown fields"), ""};
    }
    const RangeResponse& part = chunk.range_response();
    if (const char* broken = BrokenRule(part, merged, i == 0, i + 1 == chunks.size())) {
      return {kBadStream, absl::StrCat("chunk ", i, " of ", chunks.size(), ": ", broken), ""};
    }
    merged.MergeFrom(part);
  }
  return {0, "", merged.SerializeAsString()};
}

}  // namespace gavel::conformance
