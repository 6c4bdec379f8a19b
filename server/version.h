// The versions announced, in the one place that says them.
#pragma once

#include <string_view>

namespace gavel::server {

// What clients gate features on: the etcd release whose surface is served.
inline constexpr std::string_view kEtcdServerVersion = "3.7.1";
inline constexpr std::string_view kEtcdClusterVersion = "3.7.0";

// Gavel's own release, and the commit it was built from ("unknown" outside a checkout).
std::string_view GavelVersion();
std::string_view GavelCommit();

}  // namespace gavel::server
