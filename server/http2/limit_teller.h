// Counts how often clients meet a limit of their port, and tells the operator which.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "server/clock.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/rare_line.h"

namespace gavel::server {

enum class ClientLimit : uint8_t {
  kConnections,
  kHandshake,
  kWriteStall,
  kPingAnswer,
  kAnswer,
  kHeaders,
  kContinuations,
  kHeld,
  kResets,
  kIdleFrames,
  kPings,
  kStreams,
};
constexpr size_t kClientLimitCount = 12;

// Thread-safe. A client can meet a limit as often as it likes: each gets one line a minute.
class LimitTeller {
 public:
  // Both references must outlive it. `metrics` null: not counted.
  LimitTeller(Clock& clock, Logger& logger, Metrics* metrics);

  void Note(ClientLimit limit, std::string_view client);

 private:
  struct State {
    Counter* counter = nullptr;
    RareLine line;
  };

  Clock& clock_;
  Logger& logger_;
  std::array<State, kClientLimitCount> states_;
};

}  // namespace gavel::server
