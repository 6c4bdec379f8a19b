// A queue: first in, first out, for any number of producers and consumers.
//
// Keys are "name/" + something unique, in the order of their revisions, as in etcd's recipe. An
// item goes to one consumer. It is gone when it has been given out: who needs to be sure that it
// was worked on keeps it under a lock instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/client.h"
#include "client/recipes/wait_options.h"

namespace gavel::client::recipes {

// Not thread-safe; each thread has its own. The Client must outlive it.
class Queue {
 public:
  Queue(const Client& client, std::string name);

  // Appends an item. If the class of an error is kUnknown, it may have been appended; doing it
  // again may append it twice.
  Status Enqueue(std::string_view value, CallOptions options = {});
  // Takes the oldest item; waits until there is one. Fails with kDeadline or kCancelled by the
  // options, and then has taken nothing. If the class of an error is kUnknown, an item may have
  // been taken and lost.
  Result<std::string> Dequeue(WaitOptions wait = {});

 private:
  const Kv kv_;
  const Watch watch_;
  const std::string prefix_;
  // Names of items: when this producer began, and how many it has made since.
  int64_t began_ = 0;
  int64_t made_ = 0;
};

}  // namespace gavel::client::recipes
