// Requests about members and alarms, for a member that is alone.
//
// It stays alone: learners come and go, and nothing answers at their addresses. A voter would cost
// it the quorum.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tests/conformance/operation.h"
#include "tests/conformance/vocabulary.h"

namespace gavel::conformance {

class MemberRequests {
 public:
  explicit MemberRequests(Vocabulary& words) : words_(words) {}

  // What is still to be asked before anything else; an alarm is not left on.
  bool pending() const { return !pending_.empty(); }
  Operation Next();

 private:
  Operation Draw();
  Operation Add();
  Operation Alarm();
  std::string NewUrl();
  std::string BadUrl();
  uint64_t Id();

  Vocabulary& words_;
  int64_t added_ = 0;
  int64_t urls_ = 0;
  std::string last_url_;  // Of the newest member.
  std::deque<Operation> pending_;
};

}  // namespace gavel::conformance
