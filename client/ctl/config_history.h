// The past of the store, read at one revision after the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "client/ctl/failure.h"
#include "client/ctl/printer.h"
#include "client/kv.h"

namespace gavel::client::ctl {

// The oldest revision that can still be read, found by halving: about log2(newest) reads.
// newest + 1 if none up to `newest` can.
Result<int64_t> OldestRevision(const Kv& kv, int64_t newest, CallOptions options = {});

struct HistoryWanted {
  std::string key;
  int64_t limit = 0;                // Most entries; 0: all.
  int64_t revision = 0;             // Where to begin, going back; 0: at the newest.
  std::chrono::nanoseconds time{};  // For all requests together; above 0.
};

// The versions of a key and its deletions, from the newest back to the oldest that can be read.
// While the key was there, one read finds each version; through the times when it was not,
// revisions are read one by one, many to a request. If the time is up before the end,
// `unread_revision` says where to go on. What is compacted meanwhile is left out, as if it had been
// before.
Expected<KeyHistory> ReadHistory(const Kv& kv, const HistoryWanted& wanted);

}  // namespace gavel::client::ctl
