// The stores of a member that runs on ordered maps: its state, and what it receives.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "server/snapshot/engine_stores.h"
#include "storage/engine/map_engine.h"

namespace gavel::testing {

using MapEnginePtr = std::shared_ptr<storage::MapEngine>;

inline MapEnginePtr NewMapEngine() {
  return std::make_shared<storage::MapEngine>(storage::MapEngineOptions{.deferred_flushes = true});
}

// Both must outlive what is returned; `received` is null while there is no such store.
inline server::EngineStores MapStores(MapEnginePtr& state, MapEnginePtr& received) {
  const auto is_received = [](const std::string& path) { return path.ends_with("/received"); };
  return {.open = [&, is_received](
                      const std::string& path) -> absl::StatusOr<std::shared_ptr<storage::Engine>> {
            if (!is_received(path)) return state;
            if (received == nullptr) received = NewMapEngine();
            return received;
          },
          .remove =
              [&, is_received](const std::string& path) {
                (is_received(path) ? received : state) = nullptr;
                return absl::OkStatus();
              },
          .replace =
              [&](const std::string&, const std::string&) {
                if (received != nullptr) state = std::exchange(received, nullptr);
                return absl::OkStatus();
              }};
}

}  // namespace gavel::testing
