// A stream of chunks as the one answer that it stands for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/operation.h"

namespace gavel::conformance {

// The method whose answer comes in chunks, and the one that gives the same in one piece. Only the
// latter is in etcd 3.4, which is asked that instead.
inline constexpr std::string_view kStreamMethod = "/etcdserverpb.KV/RangeStream";
inline constexpr std::string_view kWholeMethod = "/etcdserverpb.KV/Range";

// No code of gRPC: a stream that ended well and broke a rule of its contract; the text says which.
inline constexpr int kBadStream = -2;

// What `chunks`, encoded messages of a RangeStream that ended with `code` and `message`, merge to:
// the body is a RangeResponse. Chunks of a stream that failed count for nothing.
Answer MergeChunks(const std::vector<std::string>& chunks, int code, const std::string& message);

}  // namespace gavel::conformance
