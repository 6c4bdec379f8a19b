// The first error that a member cannot go on after.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

#include "server/logging.h"
#include "storage/mutex.h"

namespace gavel::server {

// Thread-safe. Stages report to it and then stop; what follows is its owner's choice: gaveld
// exits at once, a test goes on with the member dead.
class Failure {
 public:
  using OnFailure = std::function<void(const absl::Status&)>;
  Failure(Logger& logger, OnFailure on_failure)
      : logger_(logger), on_failure_(std::move(on_failure)) {}

  // Logs the first error with what failed and what to do about it, then tells the owner.
  void Report(std::string_view what, std::string_view advice, const absl::Status& status) {
    {
      const MutexLock lock(mutex_);
      if (!status_.ok()) return;
      status_ = status;
    }
    logger_.Error("this member cannot go on and stops",
                  {{"what failed", what}, {"error", status.ToString()}, {"what to do", advice}});
    logger_.Flush();
    if (on_failure_) on_failure_(status);
  }

  absl::Status status() const {
    const MutexLock lock(mutex_);
    return status_;
  }
  bool failed() const { return !status().ok(); }

 private:
  Logger& logger_;
  const OnFailure on_failure_;
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gavel::server
