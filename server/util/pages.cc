// Writes the manual page gavelutl(1), or what completes its command line in a shell, from its own
// commands and flags. Runs while Gavel is built, and is not installed.
//
//   gavelutl_pages manual | bash | zsh | fish
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"

#include "server/roff.h"
#include "server/util/command_line.h"

namespace gavel::server {
namespace {

// A command, or gavelutl itself, with the words that lead to it: "snapshot status".
struct Node {
  std::string path;
  const CLI::App* app;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Node>* nodes) {
  nodes->push_back({path, &app});
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), nodes);
  }
}

std::vector<Node> Nodes(const CLI::App& app) {
  std::vector<Node> nodes;
  Collect(app, "", &nodes);
  return nodes;
}

bool IsSwitch(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

enum class Value { kNone, kText, kFile, kFolder };

Value ValueOf(const CLI::Option& option) {
  if (IsSwitch(option)) return Value::kNone;
  const std::string name = option.get_name();
  if (name == "DATA_DIR" || name.ends_with("-dir")) return Value::kFolder;
  return name == "FILE" ? Value::kFile : Value::kText;
}

std::vector<const CLI::Option*> Flags(const CLI::App& app) {
  std::vector<const CLI::Option*> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) flags.push_back(option);
  }
  return flags;
}

// "-w, --write-out".
std::string FlagForm(const CLI::Option& option) {
  std::string form;
  for (const std::string& name : option.get_snames()) form += "-" + name + ", ";
  return form + "--" + option.get_lnames().front();
}

// --- The manual page -------------------------------------------------------------------------

std::string FlagEntries(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* flag : Flags(app)) {
    out += ".TP\n\\fB" + Roff(FlagForm(*flag)) + "\\fR" +
           (IsSwitch(*flag) ? "" : " \\fIVALUE\\fR") + "\n" + Roff(flag->get_description()) + "\n";
  }
  return out;
}

std::string CommandEntry(const Node& node) {
  std::string out = ".SS gavelutl " + Roff(node.path);
  for (const CLI::Option* option : node.app->get_options()) {
    if (option->get_positional()) out += " " + Roff(option->get_name());
  }
  out += "\n" + Roff(node.app->get_description()) + "\n";
  if (!node.app->get_footer().empty()) out += ".PP\n" + Roff(node.app->get_footer()) + "\n";
  return out + FlagEntries(*node.app);
}

std::string Manual(const std::vector<Node>& nodes) {
  std::string out =
      ".TH GAVELUTL 1 \"\" \"Gavel " GAVEL_VERSION
      "\" \"User Commands\"\n"
      ".SH NAME\ngavelutl \\- offline work on snapshots and data directories of Gavel\n"
      ".SH SYNOPSIS\n.B gavelutl\n.RI [ flags ] \" COMMAND \" [ arguments ]\n.SH DESCRIPTION\n" +
      Roff(nodes.front().app->get_description()) + "\n.SH COMMANDS\n";
  for (const Node& node : nodes) {
    const bool runs = node.app->get_subcommands([](const CLI::App*) { return true; }).empty();
    if (runs) out += CommandEntry(node);
  }
  return out + ".SH OPTIONS\n" + FlagEntries(*nodes.front().app) +
         ".SH EXIT STATUS\n.TP\n\\fB0\\fR\nDone.\n.TP\n\\fB1\\fR\nIt failed.\n.TP\n\\fB128\\fR\n"
         "The command line is not understood.\n"
         ".SH SEE ALSO\n.BR gavelctl (1),\n.BR gaveld (1)\n";
}

// --- Completion ------------------------------------------------------------------------------

// What may follow the words of a node: subcommands and flags, which end in "=" if they take a
// value.
std::vector<std::string> Words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(sub->get_name());
  }
  for (const CLI::Option* flag : Flags(app)) {
    words.push_back("--" + flag->get_lnames().front() + (IsSwitch(*flag) ? "" : "="));
  }
  return words;
}

std::string Joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : std::string(separator)) + word;
  return out;
}

// In single quotes; `escaped` characters get a backslash first, as zsh's functions want it.
std::string Quoted(std::string_view text, bool fish, std::string_view escaped = {}) {
  std::string out = "'";
  for (const char c : text) {
    if (escaped.find(c) != std::string_view::npos) out += '\\';
    if (c == '\'') {
      out += fish ? "\\'" : "'\\''";
    } else {
      out += c == '\\' && fish ? "\\\\" : std::string(1, c);
    }
  }
  return out + "'";
}

// The flags of any command whose values are of a kind, "--data-dir|--wal-dir".
std::string FlagsOf(const std::vector<Node>& nodes, Value value) {
  std::vector<std::string> names;
  for (const Node& node : nodes) {
    for (const CLI::Option* flag : Flags(*node.app)) {
      const std::string name = "--" + flag->get_lnames().front();
      if (ValueOf(*flag) != value || name == "--write-out") continue;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return Joined(names, "|");
}

// What the shell completes behind a node's own words: files, folders or nothing.
std::string_view Arguments(const CLI::App& app, std::string_view files, std::string_view folders) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    return ValueOf(*option) == Value::kFolder ? folders : files;
  }
  return {};
}

// Sets `reached` to the words of the command line that are commands, in bash and zsh.
std::string PathLoop(const std::vector<Node>& nodes, std::string_view words, std::string_view first,
                     std::string_view last) {
  std::vector<std::string> patterns;
  for (const Node& node : nodes) {
    if (!node.path.empty()) patterns.push_back("'" + node.path + "'");
  }
  return "  for ((i = " + std::string(first) + "; i < " + std::string(last) +
         "; ++i)); do\n    word=${reached:+$reached }${" + std::string(words) +
         "[i]}\n    case $word in\n      " + Joined(patterns, "|") +
         ") reached=$word ;;\n    esac\n  done\n";
}

std::string Bash(const std::vector<Node>& nodes) {
  std::string out =
      "# Completion of gavelutl for bash.\n_gavelutl() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} value flag reached= word i\n  COMPREPLY=()\n"
      "  # Bash splits \"--flag=value\" at the \"=\".\n"
      "  value=$current\n  flag=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  if [[ $current == = ]]; then\n    value=\n"
      "  elif [[ $flag == = ]]; then\n    flag=${COMP_WORDS[COMP_CWORD-2]}\n  fi\n"
      "  case $flag in\n"
      "    -w|--write-out) COMPREPLY=($(compgen -W 'simple fields json table' -- \"$value\")); "
      "return ;;\n    " +
      FlagsOf(nodes, Value::kFolder) +
      ") COMPREPLY=($(compgen -d -- \"$value\")); return ;;\n    " + FlagsOf(nodes, Value::kText) +
      ") return ;;\n  esac\n" + PathLoop(nodes, "COMP_WORDS", "1", "COMP_CWORD") +
      "  case $reached in\n";
  for (const Node& node : nodes) {
    out += "    '" + node.path + "') COMPREPLY=($(compgen -W '" + Joined(Words(*node.app), " ") +
           "' " + std::string(Arguments(*node.app, "-f", "-d")) + " -- \"$current\")) ;;\n";
  }
  return out +
         "  esac\n  [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n}\n"
         "complete -F _gavelutl gavelutl\n";
}

std::string Zsh(const std::vector<Node>& nodes) {
  std::string out =
      "#compdef gavelutl\n# Completion of gavelutl for zsh.\n\n_gavelutl() {\n"
      "  local reached= word i\n" +
      PathLoop(nodes, "words", "2", "CURRENT") + "  case $reached in\n";
  for (const Node& node : nodes) {
    out += "    '" + node.path + "')\n";
    std::string arguments = "      _arguments";
    for (const CLI::Option* flag : Flags(*node.app)) {
      const Value value = ValueOf(*flag);
      const std::string_view action = value == Value::kFolder ? ":folder:_files -/" : ":value:";
      arguments += " \\\n        '--" + flag->get_lnames().front() + (IsSwitch(*flag) ? "" : "=") +
                   "['" + Quoted(flag->get_description(), /*fish=*/false, "[]:\\") + "']" +
                   (IsSwitch(*flag) ? "" : std::string(action)) + "'";
    }
    const std::string_view rest = Arguments(*node.app, "_files", "_files -/");
    if (!rest.empty()) arguments += " \\\n        '*:argument:" + std::string(rest) + "'";
    std::string commands;
    for (const CLI::App* sub : node.app->get_subcommands([](const CLI::App*) { return true; })) {
      commands += " " + Quoted(sub->get_name() + ":" + sub->get_description(), /*fish=*/false);
    }
    if (!commands.empty()) {
      out += "      local -a commands=(" + commands.substr(1) + ")\n" +
             "      _describe command commands\n";
    }
    out += arguments + " ;;\n";
  }
  return out +
         "  esac\n}\n\n"
         "# Read as a file of $fpath it is called at once; read by source it is registered.\n"
         "if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then\n  _gavelutl \"$@\"\nelse\n"
         "  compdef _gavelutl gavelutl\nfi\n";
}

// Whether the words so far are those of the node and no more, as a condition of fish.
std::string FishCondition(const Node& node) {
  std::string condition = node.path.empty() ? "__fish_use_subcommand" : "";
  std::string left = node.path;
  while (!left.empty()) {
    const size_t space = left.find(' ');
    condition += (condition.empty() ? "" : "; and ") +
                 ("__fish_seen_subcommand_from " + left.substr(0, space));
    left = space == std::string::npos ? "" : left.substr(space + 1);
  }
  std::string subs;
  for (const CLI::App* sub : node.app->get_subcommands([](const CLI::App*) { return true; })) {
    subs += " " + sub->get_name();
  }
  if (!node.path.empty() && !subs.empty()) {
    condition += "; and not __fish_seen_subcommand_from" + subs;
  }
  return Quoted(condition, /*fish=*/true);
}

std::string Fish(const std::vector<Node>& nodes) {
  std::string out = "# Completion of gavelutl for fish.\ncomplete -c gavelutl -f\n";
  for (const Node& node : nodes) {
    const std::string begin = "complete -c gavelutl -n " + FishCondition(node);
    for (const CLI::App* sub : node.app->get_subcommands([](const CLI::App*) { return true; })) {
      out += begin + " -a " + sub->get_name() + " -d " +
             Quoted(sub->get_description(), /*fish=*/true) + "\n";
    }
    for (const CLI::Option* flag : Flags(*node.app)) {
      const Value value = ValueOf(*flag);
      out += begin + " -l " + flag->get_lnames().front();
      if (value == Value::kText) out += " -x";
      if (value == Value::kFolder) out += " -x -a '(__fish_complete_directories)'";
      out += " -d " + Quoted(flag->get_description(), /*fish=*/true) + "\n";
    }
    const std::string_view rest =
        Arguments(*node.app, " -F", " -a '(__fish_complete_directories)'");
    if (!rest.empty()) out += begin + std::string(rest) + "\n";
  }
  return out;
}

std::string Page(std::string_view what) {
  UtilCommandLine line;
  const std::unique_ptr<CLI::App> app = MakeUtilCommandLine(&line);
  const std::vector<Node> nodes = Nodes(*app);
  if (what == "manual") return Manual(nodes);
  if (what == "bash") return Bash(nodes);
  if (what == "zsh") return Zsh(nodes);
  return what == "fish" ? Fish(nodes) : "";
}

}  // namespace
}  // namespace gavel::server

int main(int argc, char** argv) {
  const std::string page = gavel::server::Page(argc == 2 ? argv[1] : "");
  if (page.empty()) return 2;
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0
             ? 0
             : 1;
}
