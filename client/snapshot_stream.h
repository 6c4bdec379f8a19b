// Reads a member's snapshot: all that it holds, as bytes for a file.
//
//   SnapshotStream snapshot = client.maintenance().Snapshot("10.0.0.1:2379");
//   while (!snapshot.done()) {
//     Result<SnapshotPiece> piece = snapshot.Next();
//     if (!piece.ok()) ...
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/options.h"
#include "client/pending.h"
#include "client/status.h"

namespace gavel::client {
namespace internal {
class Core;
class SnapshotReader;
}  // namespace internal

struct SnapshotPiece {
  std::string bytes = {};
  // About how many bytes are still to come, as the server says; 0 in the last piece.
  uint64_t remaining_bytes = 0;
  std::string version = {};  // Of the server's storage; empty from servers before 3.6.
};

// The pieces, one after the other, are the snapshot; its last 32 bytes are the SHA-256 of all
// before them, which whoever keeps it should compare. The server sends on only as pieces are taken:
// besides the one in hand, one more is in memory.
//
// A snapshot is one member's: if the stream breaks, it cannot go on, and must be begun anew. After
// an error every Next() returns it again.
//
// Not thread-safe, and one piece at a time.
class SnapshotStream {
 public:
  // Each Next() has the time of `options`; the stop token is for all of it.
  SnapshotStream(const std::shared_ptr<internal::Core>& core, CallOptions options);
  SnapshotStream(SnapshotStream&&) noexcept;
  SnapshotStream& operator=(SnapshotStream&&) noexcept;
  // Ends what is under way.
  ~SnapshotStream();

  // The next piece. Empty only if nothing is left.
  Result<SnapshotPiece> Next();
  Pending<SnapshotPiece> NextAsync();

  // True after the last piece.
  bool done() const;

 private:
  std::shared_ptr<internal::SnapshotReader> reader_;
};

}  // namespace gavel::client
