// put, get and del as requests: their flags, and how words become a request. Both the commands and
// the lines of a transaction are read by it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/ctl/failure.h"
#include "client/ctl/flags.h"
#include "client/types.h"

namespace gavel::client::ctl {

const std::vector<FlagSpec>& PutFlags();
const std::vector<FlagSpec>& GetFlags();
const std::vector<FlagSpec>& DeleteFlags();

// Where a put gets its value from when no word gives one.
using ValueSource = std::function<Expected<std::string>()>;

Expected<PutRequest> ReadPut(const FlagValues& flags, const std::vector<std::string>& words,
                             const ValueSource& source);
Expected<RangeRequest> ReadGet(const FlagValues& flags, const std::vector<std::string>& words);
Expected<DeleteRequest> ReadDelete(const FlagValues& flags, const std::vector<std::string>& words);

}  // namespace gavel::client::ctl
