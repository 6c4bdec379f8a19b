// The read that a health check does: as small as a read can be, and a real one.
#pragma once

#include <functional>
#include <string>

#include "server/node/gate.h"

namespace gavel::server {

// Reads one key through the leader, or from the local copy, on a background thread, and tells
// what went wrong; an empty text means nothing did. With an engine that does not return, `done`
// never runs. The gate must outlive that.
void ReadForHealth(Gate& gate, bool serializable, std::function<void(std::string error)> done);

}  // namespace gavel::server
