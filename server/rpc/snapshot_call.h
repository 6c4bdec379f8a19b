// Maintenance.Snapshot: the archive of this member's state, at the client's pace.
#pragma once

#include <memory>

#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Begins one call of the method.
std::shared_ptr<StreamHandler> StartSnapshot(const ServiceSurroundings& surroundings,
                                             std::shared_ptr<StreamWriter> writer);

}  // namespace gavel::server
