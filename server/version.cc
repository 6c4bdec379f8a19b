#include "server/version.h"

#include "gavel_build.h"  // Written by server/build_info.cmake.

namespace gavel::server {

std::string_view GavelVersion() { return GAVEL_BUILD_VERSION; }

std::string_view GavelCommit() { return GAVEL_BUILD_COMMIT; }

}  // namespace gavel::server
