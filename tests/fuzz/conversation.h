// One member of three, as far as a peer's bytes reach: the checks of frames and of commands, and
// the consensus core, which is follower, candidate or leader when the first of them comes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gavel::fuzz {

// Does what `input` says, mostly by delivering frames, and checks after each step what must hold
// whoever sends what: what the member promises, writes, hands out and sends.
void Converse(std::string_view input);

std::vector<std::string> ConversationSeeds();

}  // namespace gavel::fuzz
