// Scenario files: commands in, transcript out.
//
// A file starts with its story in comments (#). Then come blocks: commands, a line "----", and
// the transcript of these commands up to an empty line. The commands are listed in
// tests/raft/scenarios/README.md.
#pragma once

#include <string>

namespace gavel::raft {

// Runs the scenario in `text` and returns it with every transcript as it came out.
std::string RunScenario(const std::string& text);

}  // namespace gavel::raft
