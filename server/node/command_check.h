// Whether a command that another member forwards may enter the log.
//
// What is committed is applied by all members, and one that none of them can apply would end every
// one. So the leader's member looks at what comes from elsewhere before the core takes it.
#pragma once

#include <cstddef>
#include <string>

#include "raft/message.h"

namespace gavel::server {

// Passive; not thread-safe.
class CommandCheck {
 public:
  // What members propose of their own accord may be so large whatever clients may ask for.
  static constexpr size_t kOwnCommandBytesMax = 64 << 10;

  // `request_bytes_max` is --max-request-bytes.
  explicit CommandCheck(size_t request_bytes_max);

  // Why `proposal` is not taken, in words; empty if it may be.
  std::string WhyNot(const raft::Proposal& proposal) const;

 private:
  const size_t bytes_max_;
};

}  // namespace gavel::server
