// Counts how often clients meet a limit of their port, and tells the operator which.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/clock.h"
#include "server/http2/counted_events.h"
#include "server/logging.h"
#include "server/metrics.h"

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

// Thread-safe. A client can meet a limit as often as it likes: each gets one line a minute.
class LimitTeller {
 public:
  // Both references must outlive it. `metrics` null: not counted.
  LimitTeller(Clock& clock, Logger& logger, Metrics* metrics);

  void Note(ClientLimit limit, std::string_view client);

 private:
  Logger& logger_;
  CountedEvents events_;
};

}  // namespace gavel::server
