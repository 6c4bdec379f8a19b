// RangeStream: a Range answered in chunks, on one pinned revision, at the client's pace.
#pragma once

#include <memory>

#include "server/rpc/service.h"
#include "server/rpc/service_support.h"

namespace gavel::server {

// Begins one call of the method.
std::shared_ptr<StreamHandler> StartRangeStream(const ServiceSurroundings& surroundings,
                                                CallContext context,
                                                std::shared_ptr<StreamWriter> writer);

}  // namespace gavel::server
