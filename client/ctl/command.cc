#include "client/ctl/command.h"

#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

void CollectRunnable(CommandPath* path, std::vector<CommandPath>* found) {
  if (path->back()->run != nullptr) found->push_back(*path);
  for (const Command& command : path->back()->subcommands) {
    path->push_back(&command);
    CollectRunnable(path, found);
    path->pop_back();
  }
}

// What to say of a command of etcdctl's that is not here; empty of any other word.
std::string HintOfMissing(const CommandPath& path, std::string_view word) {
  if (path.size() == 1) {
    if (word == "auth" || word == "user" || word == "role") {
      return "The servers of this release have no users and roles yet, so 'auth', 'user' and "
             "'role' are not there yet either.";
    }
    if (word == "downgrade") {
      return "The servers of this release cannot be downgraded yet, so 'downgrade' is not there "
             "yet either.";
    }
    return {};
  }
  if (path.back()->name == "snapshot" && (word == "restore" || word == "status")) {
    return "'gavelutl snapshot " + std::string(word) + "' does that: it needs no server.";
  }
  return {};
}

Expected<const Command*> FindSubcommand(const CommandPath& path, const std::string& word) {
  std::vector<const Command*> begun;
  std::vector<std::string_view> names;
  for (const Command& command : path.back()->subcommands) {
    if (command.name == word) return &command;
    if (!word.empty() && command.name.substr(0, word.size()) == word) begun.push_back(&command);
    names.push_back(command.name);
  }
  if (begun.size() == 1) return begun.front();
  Failure failure{
      ExitCode::kError, "unknown command " + Quote(word) + " for " + Quote(FullName(path)), {}};
  if (std::string hint = HintOfMissing(path, word); !hint.empty()) {
    failure.hint = std::move(hint);
    return failure;
  }
  if (begun.size() > 1) {
    std::vector<std::string> meant;
    for (const Command* command : begun) meant.emplace_back(command->name);
    failure.hint = "It may be " + Join(meant, " or ") + ".";
  } else if (const std::string_view nearest = Nearest(word, names); !nearest.empty()) {
    failure.hint = "Did you mean '" + std::string(nearest) + "'? ";
  }
  if (begun.empty()) failure.hint += "Run '" + FullName(path) + " --help' for all commands.";
  return failure;
}

}  // namespace

std::string FullName(const CommandPath& path) {
  std::string name;
  for (const Command* command : path) {
    if (!name.empty()) name += ' ';
    name += command->name;
  }
  return name;
}

std::vector<CommandPath> RunnableCommands() {
  std::vector<CommandPath> found;
  CommandPath path = {&RootCommand()};
  CollectRunnable(&path, &found);
  return found;
}

Expected<CommandLine> ReadCommandLine(std::vector<std::string> tokens) {
  CommandLine line;
  line.path = {&RootCommand()};
  line.flags.AddDefaults(GlobalFlags());
  FlagTables tables = {&GlobalFlags()};
  FlagReader reader(std::move(tokens));
  while (!reader.done()) {
    if (reader.AtFlag()) {
      if (MaybeFailure failure = reader.ReadFlag(tables, &line.flags, &line.help)) {
        failure->hint +=
            (failure->hint.empty() ? "See '" : " See '") + FullName(line.path) + " --help'.";
        return *std::move(failure);
      }
      if (reader.flags_ended()) line.separator = line.arguments.size();
      continue;
    }
    std::string word = reader.TakeWord();
    if (line.path.back()->subcommands.empty()) {
      line.arguments.push_back(std::move(word));
      continue;
    }
    if (line.path.size() == 1 && word == "help") {  // "help get" is "get --help".
      line.help = true;
      continue;
    }
    const Expected<const Command*> found = FindSubcommand(line.path, word);
    if (!found.ok()) return found.failure();
    line.path.push_back(*found);
    line.flags.AddDefaults((*found)->flags);
    tables.push_back(&(*found)->flags);
  }
  if (line.path.back()->run == nullptr) line.help = true;
  return line;
}

}  // namespace gavel::client::ctl
