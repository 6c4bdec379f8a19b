// How long a recipe may block.
#pragma once

#include <chrono>
#include <stop_token>

namespace gavel::client::recipes {

// For whatever blocks until others have done something.
struct WaitOptions {
  // 0: no limit. When it is over, the wait ends with Reason::kDeadline.
  std::chrono::milliseconds timeout{0};
  // Ends the wait with Reason::kCancelled.
  std::stop_token stop = {};
};

}  // namespace gavel::client::recipes
