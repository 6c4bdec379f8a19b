// The engine's stores, by their paths.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"

namespace gavel::server {

// Opens or creates a store.
using EngineOpener =
    std::function<absl::StatusOr<std::shared_ptr<storage::Engine>>(const std::string& path)>;

struct EngineStores {
  EngineOpener open;
  // Throws a store away, if there is one. Requires: it is not open.
  std::function<absl::Status(const std::string& path)> remove;
  // Puts a store in the place of another, which is thrown away, durably; nothing if there is none
  // at `from`. Requires: neither is open.
  std::function<absl::Status(const std::string& from, const std::string& to)> replace;
};

}  // namespace gavel::server
