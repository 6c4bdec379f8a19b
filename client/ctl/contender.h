// A place in a queue of keys, as etcd's recipes for locks and elections lay them out, so that all
// of them can wait for one another: NAME/LEASE in hexadecimal, the oldest key first.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "client/client.h"

namespace gavel::client::ctl {

// Under which the keys of all contenders for `name` are.
std::string ContendersPrefix(std::string_view name);

struct Place {
  std::string prefix = {};
  std::string key = {};
  int64_t created = 0;  // Its create revision, which orders the queue and is the fencing token.
};

// Puts the key of `lease` with `value`. Asking twice is safe: a key that is there keeps its place.
Result<Place> TakePlace(const Client& client, std::string_view name, std::string_view value,
                        int64_t lease, std::stop_token stop);

// Waits, by watching the key before it only, until no older key is there. Gives the place's own key
// as it was at that same revision; no key: it is gone with its lease, and so is the turn. What
// servers that are away answer is waited out until `stop`, which ends it with kCancelled.
Result<RangeResponse> AwaitTurn(const Client& client, const Place& place, std::stop_token stop);

// The first key in the queue, at once; nobody: no key.
Result<RangeResponse> FirstInQueue(const Client& client, const std::string& prefix,
                                   std::stop_token stop);

// Waits out a failure after which the same may be asked again. False: it may not, or `stop`.
bool WaitOut(const Status& status, std::stop_token stop);

}  // namespace gavel::client::ctl
