// Commands as data: one tree that feeds the reader of the command line, --help, completion and the
// manual.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/flags.h"
#include "client/ctl/settings.h"

namespace gavel::client::ctl {

class Session;

// A set of Format.
using Formats = uint8_t;
constexpr Formats kNoFormat = 0;  // What is written does not depend on --write-out.
constexpr Formats FormatSet(std::initializer_list<Format> formats) {
  Formats set = 0;
  for (const Format format : formats) set |= static_cast<uint8_t>(format);
  return set;
}
constexpr Formats kMessageFormats =
    FormatSet({Format::kSimple, Format::kFields, Format::kJson, Format::kProtobuf});
constexpr Formats kListFormats =
    FormatSet({Format::kSimple, Format::kFields, Format::kJson, Format::kTable});

struct Command {
  std::string_view name;
  std::string_view arguments = {};  // As --help shows them: "<key> [range_end]".
  std::string_view summary = {};
  std::string_view description = {};  // More lines for --help and the manual.
  std::vector<FlagSpec> flags = {};
  Formats formats = kNoFormat;
  bool takes_files = false;                         // Arguments are names of files, for completion.
  std::vector<std::string_view> words = {};         // Arguments to choose from, for completion.
  MaybeFailure (*run)(Session& session) = nullptr;  // Null: only subcommands.
  std::vector<Command> subcommands = {};
};

// gavelctl itself, with all commands below it.
const Command& RootCommand();

// Where a command stands: the root first, the command itself last.
using CommandPath = std::vector<const Command*>;
// "gavelctl endpoint status".
std::string FullName(const CommandPath& path);
// All commands that can be run, depth first, in the order of the tree.
std::vector<CommandPath> RunnableCommands();

struct CommandLine {
  CommandPath path;
  FlagValues flags;
  std::vector<std::string> arguments;
  // How many arguments stand before the "--" that ends the flags; nothing if there is none.
  std::optional<size_t> separator;
  bool help = false;
};

// Reads a command line without the program's name. A command may be shortened as long as it is
// clear which is meant.
Expected<CommandLine> ReadCommandLine(std::vector<std::string> tokens);

}  // namespace gavel::client::ctl
