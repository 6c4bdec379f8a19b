// A barrier: who waits, waits until it is taken away.
//
// As in etcd's recipe the barrier is one key: it stands while the key is there.
#pragma once

#include <cstdint>
#include <string>

#include "client/client.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// Thread-safe. The Client must outlive it.
class Barrier {
 public:
  Barrier(const Client& client, std::string name);

  // Sets it up. Reason::kHeld if it stands already. With a lease it falls when that ends. If the
  // class of an error is kUnknown, it may stand.
  Status Hold(int64_t lease = 0, CallOptions options = {}) const;
  // Takes it away; everybody who waits goes on. That it does not stand is no error.
  Status Release(CallOptions options = {}) const;
  // Waits until it does not stand. Fails with kDeadline or kCancelled by the options.
  Status Wait(WaitOptions wait = {}) const;

 private:
  const Kv kv_;
  const Watch watch_;
  const std::string key_;
};

}  // namespace gavel::client::recipes
