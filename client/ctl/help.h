// --help, from the tables.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/command.h"

namespace gavel::client::ctl {

std::string HelpText(const CommandPath& path);

// "gavelctl get [flags] <key> [range_end]".
std::string UsageLine(const CommandPath& path);

// The flags that a command takes beside the global ones, those of its parents included.
std::vector<FlagSpec> OwnFlags(const CommandPath& path);

// "-w, --write-out=FORMAT".
std::string FlagForm(const FlagSpec& flag);

struct ExitCodeText {
  int code;
  std::string_view text;
};
const std::vector<ExitCodeText>& ExitCodeTexts();

}  // namespace gavel::client::ctl
