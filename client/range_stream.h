// Reads a range of any size as one stream, all at one revision, a chunk in memory at a time.
//
//   RangeStream rows = client.kv().Stream(RangeRequest{.range = KeyRange::Prefix("config/")});
//   while (!rows.done()) {
//     Result<std::vector<KeyValue>> chunk = rows.Next();
//     if (!chunk.ok()) ...
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/options.h"
#include "client/pending.h"
#include "client/status.h"
#include "client/types.h"

namespace gavel::client {
namespace internal {
class Core;
class RangeReader;
}  // namespace internal

// Rows come in key order, each once, in chunks as the server cuts them (by bytes, not by rows). The
// revision is the request's or, if that is 0, the newest when the first chunk is asked for; then
// one small read settles it beforehand, so that a stream that breaks goes on elsewhere, at the same
// revision, after the last row that came. The server sends on only as chunks are taken: besides the
// one in hand, one more is in memory. Servers without RangeStream (etcd before 3.7), and requests
// that it does not serve (filters by revision), are read page by page instead (client/pager.h).
//
// An error moves nothing: Next() goes on where it stood. Reason::kCompacted means that the revision
// was given up in between; the rest can only be read anew, from next_key() on, at a newer revision.
//
// Not thread-safe, and one chunk at a time.
class RangeStream {
 public:
  // Each Next() has the time of `options`; the stop token is for all of it.
  RangeStream(const std::shared_ptr<internal::Core>& core, RangeRequest request,
              CallOptions options);
  RangeStream(RangeStream&&) noexcept;
  RangeStream& operator=(RangeStream&&) noexcept;
  // Ends what is under way.
  ~RangeStream();

  // The next chunk. Empty only if nothing is left. A request that is sorted otherwise than by
  // ascending key, or that asks for the count only, is refused with Reason::kInvalidOptions.
  Result<std::vector<KeyValue>> Next();
  Pending<std::vector<KeyValue>> NextAsync();

  // True after the last chunk.
  bool done() const;
  // 0 before the first chunk, if the request names none.
  int64_t revision() const;
  // Keys in the whole range at revision(), whatever limit and filters; known when it is done, and 0
  // before.
  int64_t count() const;
  // The key that the next chunk begins at.
  std::string next_key() const;
  // Whether the server streams, rather than being asked page by page; known after the first chunk.
  bool streamed() const;

 private:
  std::shared_ptr<internal::RangeReader> reader_;
};

}  // namespace gavel::client
