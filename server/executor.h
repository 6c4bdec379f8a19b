// Where work of a call or a stream runs: its I/O thread, as a rule.
#pragma once

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace gavel::server {

// Runs work on the I/O thread of a call, so that what other threads announce (a read may go
// ahead, a put is applied) costs them next to nothing.
class Executor {
 public:
  virtual ~Executor() = default;
  // Thread-safe. Work is run in the order it came, and dropped, undone, when the thread has
  // stopped.
  virtual void Run(absl::AnyInvocable<void()> work) = 0;
};

// Runs `work` on the executor, or here if there is none.
inline void RunOn(const std::shared_ptr<Executor>& executor, absl::AnyInvocable<void()> work) {
  if (executor == nullptr) {
    work();
  } else {
    executor->Run(std::move(work));
  }
}

}  // namespace gavel::server
