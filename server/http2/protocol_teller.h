// Counts clients that do not speak what their port speaks, and tells the operator.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/clock.h"
#include "server/http2/counted_events.h"
#include "server/logging.h"
#include "server/metrics.h"

namespace gavel::server {

enum class ProtocolFault : uint8_t {
  kTls,      // A greeting of TLS, which the port does not speak.
  kHttp1,    // HTTP/1, where nothing answers it.
  kUnknown,  // Neither HTTP nor TLS.
  kHttp2,    // A greeting of HTTP/2, then what breaks its rules.
};

// What a connection speaks that begins with `bytes`, which are no greeting of HTTP/2. Not empty.
ProtocolFault FaultOf(std::string_view bytes);

// Thread-safe. Each fault gets one line a minute.
class ProtocolTeller {
 public:
  // Both references must outlive it. `metrics` null: not counted.
  ProtocolTeller(Clock& clock, Logger& logger, Metrics* metrics);

  // The connection of `client` is closed for it.
  void Note(ProtocolFault fault, std::string_view client);

 private:
  Logger& logger_;
  CountedEvents events_;
};

}  // namespace gavel::server
