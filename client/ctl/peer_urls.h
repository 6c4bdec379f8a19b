// The peer URLs that a command line gives to a member.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

// Takes the commas out of "http://a:2380,http://b:2380". What etcd's own tools refuse to send is
// refused in their words; all else is the servers' to judge.
Expected<std::vector<std::string>> ReadPeerUrls(std::string_view text);

}  // namespace gavel::client::ctl
