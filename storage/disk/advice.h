// What an operator is advised to do, where more than one place says so.
#pragma once

namespace gavel::storage {

// For a member whose data is lost or cannot be trusted any more. Stands behind a colon or "or".
inline constexpr char kReplaceMember[] =
    "remove the member from the cluster and add it again with an empty data directory";

}  // namespace gavel::storage
