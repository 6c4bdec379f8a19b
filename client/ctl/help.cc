#include "client/ctl/help.h"

#include <algorithm>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

struct Row {
  std::string left;
  std::string right;
};

std::string Rows(const std::vector<Row>& rows) {
  size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.left.size());
  std::string out;
  for (const Row& row : rows) {
    out += "  " + row.left;
    if (!row.right.empty()) out += std::string(width - row.left.size() + 2, ' ') + row.right;
    out += '\n';
  }
  return out;
}

std::string FlagHelp(const FlagSpec& flag) {
  std::string help(flag.help);
  const bool default_is_known =
      flag.default_text.empty() || (flag.type == FlagType::kInteger && flag.default_text == "0");
  if (!default_is_known && flag.refusal.empty()) {
    help += " (" + std::string(flag.default_text) + ")";
  }
  return help;
}

std::string FlagRows(const std::vector<FlagSpec>& flags) {
  std::vector<Row> rows;
  std::vector<std::string> refused;
  for (const FlagSpec& flag : flags) {
    if (flag.refusal.empty() || !flag.help.empty()) {
      rows.push_back({(flag.letter == 0 ? "    " : "") + FlagForm(flag), FlagHelp(flag)});
    } else {
      refused.push_back("--" + std::string(flag.name));
    }
  }
  std::string out = Rows(rows);
  if (!refused.empty()) out += "  Not in this release, and refused: " + Join(refused, " ") + "\n";
  return out;
}

void CollectCommands(const Command& command, const std::string& name, std::vector<Row>* rows) {
  for (const Command& sub : command.subcommands) {
    const std::string full = name + (name.empty() ? "" : " ") + std::string(sub.name);
    if (sub.run != nullptr) rows->push_back({full, std::string(sub.summary)});
    CollectCommands(sub, full, rows);
  }
}

std::string Indented(std::string_view text) {
  std::string out;
  for (const std::string& line : Split(text, '\n')) out += line.empty() ? "\n" : "  " + line + "\n";
  return out;
}

}  // namespace

std::string FlagForm(const FlagSpec& flag) {
  std::string form;
  if (flag.letter != 0) form = std::string("-") + flag.letter + ", ";
  form += "--" + std::string(flag.name);
  if (!ValueName(flag).empty()) form += "=" + std::string(ValueName(flag));
  return form;
}

std::vector<FlagSpec> OwnFlags(const CommandPath& path) {
  std::vector<FlagSpec> flags;
  for (const Command* command : path) {
    flags.insert(flags.end(), command->flags.begin(), command->flags.end());
  }
  return flags;
}

std::string UsageLine(const CommandPath& path) {
  std::string usage = FullName(path);
  if (path.back()->run == nullptr) return usage + " <command> [flags]";
  usage += " [flags]";
  if (!path.back()->arguments.empty()) usage += " " + std::string(path.back()->arguments);
  return usage;
}

std::string HelpText(const CommandPath& path) {
  const Command& command = *path.back();
  std::string out = "NAME:\n  " + FullName(path) + " - " + std::string(command.summary) + "\n\n" +
                    "USAGE:\n  " + UsageLine(path) + "\n\n";
  if (!command.description.empty()) {
    out += "DESCRIPTION:\n" + Indented(command.description) + "\n";
  }
  if (!command.subcommands.empty()) {
    std::vector<Row> rows;
    CollectCommands(command, "", &rows);
    out += "COMMANDS:\n" + Rows(rows) + "\n";
  }
  if (const std::vector<FlagSpec> own = OwnFlags(path); !own.empty()) {
    out += "OPTIONS:\n" + FlagRows(own) + "\n";
  }
  out += "GLOBAL OPTIONS:\n" + FlagRows(GlobalFlags()) +
         "\nA global option may also come from the environment: GAVELCTL_WRITE_OUT or\n"
         "ETCDCTL_WRITE_OUT is --write-out. The command line wins, then GAVELCTL_.\n";
  if (path.size() == 1) {
    std::vector<Row> rows;
    for (const ExitCodeText& entry : ExitCodeTexts()) {
      rows.push_back({std::to_string(entry.code), std::string(entry.text)});
    }
    out += "\nEXIT CODES:\n" + Rows(rows);
  }
  return out;
}

const std::vector<ExitCodeText>& ExitCodeTexts() {
  static const std::vector<ExitCodeText> texts = {
      {0, "Done."},
      {1, "The request failed, or the command line is not understood."},
      {2, "No endpoint could be reached."},
      {3, "A transaction or a file has an error."},
      {4, "A flag has a value that is not supported."},
      {5, "Interrupted."},
      {6, "A file or the output could not be read or written."},
      {7, "The answer is no: exists, mget, setnx, config diff."},
      {128, "The arguments do not fit the command."},
      {141, "The reader of the output went away (SIGPIPE, as a shell tells it)."},
  };
  return texts;
}

}  // namespace gavel::client::ctl
