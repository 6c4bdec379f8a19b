#include "client/ctl/completion.h"

#include <functional>
#include <string>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/help.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// In single quotes, as all three shells read them; fish alone also reads backslashes.
std::string ShellQuoted(std::string_view text, bool fish = false) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += fish ? "\\'" : "'\\''";
    } else if (c == '\\' && fish) {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// Every command of the tree, those with subcommands too, with its path.
void ForEachCommand(CommandPath* path, const std::function<void(const CommandPath&)>& visit) {
  visit(*path);
  for (const Command& command : path->back()->subcommands) {
    path->push_back(&command);
    ForEachCommand(path, visit);
    path->pop_back();
  }
}

void ForEachCommand(const std::function<void(const CommandPath&)>& visit) {
  CommandPath path = {&RootCommand()};
  ForEachCommand(&path, visit);
}

// "endpoint status"; empty for gavelctl itself.
std::string NameBelowRoot(const CommandPath& path) {
  const std::string name = FullName(path);
  const size_t space = name.find(' ');
  return space == std::string::npos ? "" : name.substr(space + 1);
}

std::vector<FlagSpec> ServedFlags(std::vector<FlagSpec> flags) {
  std::erase_if(flags, [](const FlagSpec& flag) { return flag.help.empty(); });
  return flags;
}

std::vector<FlagSpec> AllFlagsOf(const CommandPath& path) {
  std::vector<FlagSpec> flags = OwnFlags(path);
  flags.insert(flags.end(), GlobalFlags().begin(), GlobalFlags().end());
  return ServedFlags(std::move(flags));
}

std::string FlagWords(const std::vector<FlagSpec>& flags) {
  std::vector<std::string> words;
  for (const FlagSpec& flag : flags) {
    // With the "=", so that the value follows; a switch stands alone.
    words.push_back("--" + std::string(flag.name) + (flag.type == FlagType::kSwitch ? "" : "="));
  }
  words.push_back("--help");
  return Join(words, " ");
}

std::string Words(const std::vector<std::string_view>& words) {
  return Join(std::vector<std::string>(words.begin(), words.end()), " ");
}

// What the commands' names, and words, complete to in bash.
std::string BashCases() {
  std::string cases;
  ForEachCommand([&](const CommandPath& path) {
    const Command& command = *path.back();
    std::vector<std::string> words;
    for (const Command& sub : command.subcommands) words.emplace_back(sub.name);
    words.insert(words.end(), command.words.begin(), command.words.end());
    cases += "    " + ShellQuoted(NameBelowRoot(path)) +
             ")\n      words=" + ShellQuoted(Join(words, " ")) +
             "\n      flags=" + ShellQuoted(FlagWords(AllFlagsOf(path))) + "\n";
    if (command.takes_files) cases += "      files=1\n";
    cases += "      ;;\n";
  });
  return cases;
}

// The values that flags complete to; flags of one name have the same in every command but "format"
// and its like, whose choices are the same too.
std::string BashValueCases() {
  std::string cases;
  std::string done = " ";
  ForEachCommand([&](const CommandPath& path) {
    for (const FlagSpec& flag : AllFlagsOf(path)) {
      const std::string name(flag.name);
      if (done.find(" " + name + " ") != std::string::npos) continue;
      done += name + " ";
      const std::string pattern =
          "--" + name + (flag.letter == 0 ? "" : std::string("|-") + flag.letter);
      if (!flag.choices.empty()) {
        cases += "    " + pattern + ") COMPREPLY=($(compgen -W " +
                 ShellQuoted(Words(flag.choices)) + " -- \"$value\")); return ;;\n";
      } else if (flag.is_file) {
        cases += "    " + pattern + ") COMPREPLY=($(compgen -f -- \"$value\")); return ;;\n";
      } else if (flag.type != FlagType::kSwitch) {
        cases += "    " + pattern + ") COMPREPLY=(); return ;;\n";
      }
    }
  });
  return cases;
}

// Every spelling of a command as a chain, so that words that are keys are not taken for one.
std::string BashChildren() {
  std::string cases;
  ForEachCommand([&](const CommandPath& path) {
    if (path.size() > 1) cases += ShellQuoted(NameBelowRoot(path)) + "|";
  });
  cases.pop_back();
  return cases;
}

std::string ZshSpec(const FlagSpec& flag) {
  std::string help;
  for (const char c : flag.help) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') help += '\\';
    help += c;
  }
  std::string value;
  if (flag.type != FlagType::kSwitch) {
    value = ":" + std::string(ValueName(flag)) + ":";
    for (char& c : value) {
      if (c == '|') c = ' ';
    }
    if (!flag.choices.empty()) value += "(" + Words(flag.choices) + ")";
    if (flag.is_file) value += "_files";
  }
  const std::string equals = flag.type == FlagType::kSwitch ? "" : "=";
  std::string spec =
      "    " + ShellQuoted("--" + std::string(flag.name) + equals + "[" + help + "]" + value);
  if (flag.letter != 0) {
    spec += "\n    " +
            ShellQuoted(std::string("-") + flag.letter +
                        (flag.type == FlagType::kSwitch ? "" : "+") + "[" + help + "]" + value);
  }
  return spec;
}

std::string FunctionName(const CommandPath& path) {
  std::string name = "_" + FullName(path);
  for (char& c : name) {
    if (c == ' ' || c == '-') c = '_';
  }
  return name;
}

std::string ZshFunction(const CommandPath& path) {
  const Command& command = *path.back();
  std::string out = FunctionName(path) + "() {\n";
  if (!command.subcommands.empty()) out += "  local context state state_descr line\n";
  out += "  local -a flags\n  flags=(\n";
  for (const FlagSpec& flag : AllFlagsOf(path)) out += ZshSpec(flag) + "\n";
  out += "    '(-h --help)'{-h,--help}'[Show help]'\n  )\n";
  if (command.subcommands.empty()) {
    std::string rest = "'*:argument: '";
    if (command.takes_files) rest = "'*:file:_files'";
    if (!command.words.empty()) rest = ShellQuoted("1:argument:(" + Words(command.words) + ")");
    return out + "  _arguments -s $flags " + rest + "\n}\n";
  }
  out +=
      "  _arguments -s -C $flags '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n    command)\n      local -a commands\n      commands=(\n";
  for (const Command& sub : command.subcommands) {
    std::string summary;
    for (const char c : sub.summary) {
      if (c == ':') summary += '\\';
      summary += c;
    }
    out += "        " + ShellQuoted(std::string(sub.name) + ":" + summary) + "\n";
  }
  out += "      )\n      _describe command commands ;;\n    argument)\n      case $line[1] in\n";
  for (const Command& sub : command.subcommands) {
    CommandPath below = path;
    below.push_back(&sub);
    out += "        " + std::string(sub.name) + ") " + FunctionName(below) + " ;;\n";
  }
  return out + "      esac ;;\n  esac\n}\n";
}

std::string FishFlag(const FlagSpec& flag, const std::string& condition) {
  std::string line = "complete -c gavelctl";
  if (!condition.empty()) line += " -n " + ShellQuoted(condition, true);
  line += " -l " + std::string(flag.name);
  if (flag.letter != 0) line += std::string(" -s ") + flag.letter;
  if (flag.type != FlagType::kSwitch) line += flag.is_file ? " -r -F" : " -x";
  if (!flag.choices.empty()) line += " -a " + ShellQuoted(Words(flag.choices), true);
  return line + " -d " + ShellQuoted(flag.help, true) + "\n";
}

}  // namespace

std::string BashCompletion() {
  return "# Completion of gavelctl for bash.\n"
         "_gavelctl() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} command= words= flags= files= word value flag\n"
         "  local i\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    case \"${command:+$command }$word\" in\n"
         "    " +
         BashChildren() +
         ") command=\"${command:+$command }$word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  # Bash splits \"--flag=value\" at the \"=\".\n"
         "  value=$current\n"
         "  flag=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  if [[ $current == = ]]; then\n"
         "    value=\n"
         "  elif [[ $flag == = ]]; then\n"
         "    flag=${COMP_WORDS[COMP_CWORD-2]}\n"
         "  fi\n"
         "  case $flag in\n" +
         BashValueCases() +
         "  esac\n"
         "  case $command in\n" +
         BashCases() +
         "  esac\n"
         "  if [[ $current == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$flags\" -- \"$current\"))\n"
         "    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n"
         "  elif [[ -n $files ]]; then\n"
         "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _gavelctl gavelctl\n";
}

std::string ZshCompletion() {
  std::string out = "#compdef gavelctl\n# Completion of gavelctl for zsh.\n\n";
  ForEachCommand([&](const CommandPath& path) { out += ZshFunction(path) + "\n"; });
  return out +
         "# Read as a file of $fpath it is called at once; read by source it is registered.\n"
         "if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then\n"
         "  _gavelctl \"$@\"\n"
         "else\n"
         "  compdef _gavelctl gavelctl\n"
         "fi\n";
}

std::string FishCompletion() {
  std::string out = "# Completion of gavelctl for fish.\ncomplete -c gavelctl -f\n";
  for (const FlagSpec& flag : ServedFlags(GlobalFlags())) out += FishFlag(flag, "");
  out += "complete -c gavelctl -l help -s h -d 'Show help'\n";
  ForEachCommand([&](const CommandPath& path) {
    const Command& command = *path.back();
    std::string here;
    for (size_t i = 1; i < path.size(); ++i) {
      here += (here.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from ") +
              std::string(path[i]->name);
    }
    std::vector<std::string> names;
    for (const Command& sub : command.subcommands) names.emplace_back(sub.name);
    const std::string none =
        here.empty() ? "__fish_use_subcommand"
                     : here + "; and not __fish_seen_subcommand_from " + Join(names, " ");
    for (const Command& sub : command.subcommands) {
      out += "complete -c gavelctl -n " + ShellQuoted(none, true) + " -a " + std::string(sub.name) +
             " -d " + ShellQuoted(sub.summary, true) + "\n";
    }
    for (const FlagSpec& flag : command.flags) out += FishFlag(flag, here);
    if (command.takes_files) {
      out += "complete -c gavelctl -n " + ShellQuoted(here, true) + " -F\n";
    }
    if (!command.words.empty()) {
      out += "complete -c gavelctl -n " + ShellQuoted(here, true) + " -a " +
             ShellQuoted(Words(command.words), true) + "\n";
    }
  });
  return out;
}

MaybeFailure RunCompletion(Session& session) {
  const std::string shell = session.arguments().size() == 1 ? session.arguments()[0] : "";
  if (shell == "bash") {
    session.output().Write(BashCompletion());
  } else if (shell == "zsh") {
    session.output().Write(ZshCompletion());
  } else if (shell == "fish") {
    session.output().Write(FishCompletion());
  } else {
    return BadArguments("completion needs 1 shell: bash, zsh or fish",
                        "For bash: source <(gavelctl completion bash)");
  }
  return std::nullopt;
}

}  // namespace gavel::client::ctl
