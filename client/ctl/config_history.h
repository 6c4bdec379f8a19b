// The past of the store, read at one revision after the other.
#pragma once

#include <cstdint>
#include <string>

#include "client/ctl/failure.h"
#include "client/ctl/printer.h"
#include "client/kv.h"

namespace gavel::client::ctl {

// The oldest revision that can still be read, found by halving: about log2(newest) reads.
Expected<int64_t> OldestRevision(const Kv& kv, int64_t newest);

// The versions of a key and its deletions, from the newest revision back to the oldest that can be
// read, at most `limit` of them (0: all). While the key was there, one read finds each version;
// through the times when it was not, revisions are read one by one, many to a request.
Expected<KeyHistory> ReadHistory(const Kv& kv, const std::string& key, int64_t limit);

}  // namespace gavel::client::ctl
