// Writes what completes the flags of gaveld in a shell, bash, zsh or fish, from the table of flags.
// Runs while Gavel is built, and is not installed.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "server/options_table.h"

namespace gavel::server {
namespace {

enum class Value { kNone, kText, kFile, kFolder };

struct Entry {
  std::string name;
  std::string help;
  Value value;
};

Value ValueOf(const Flag& flag) {
  if (flag.kind == FlagKind::kSwitch) return Value::kNone;
  return flag.name == "data-dir" || flag.name == "wal-dir" ? Value::kFolder : Value::kText;
}

// What --help lists.
std::vector<Entry> Entries() {
  std::vector<Entry> entries;
  for (const Flag& flag : AllFlags()) {
    if (!flag.group.empty()) entries.push_back({flag.name, flag.help, ValueOf(flag)});
  }
  entries.push_back({"config-file", "File of flags: YAML, their names as keys.", Value::kFile});
  entries.push_back({"help", "Show the flags.", Value::kNone});
  entries.push_back({"version", "Show the version.", Value::kNone});
  for (Entry& entry : entries) {
    for (char& c : entry.help) {
      if (c == '\n') c = ' ';
    }
  }
  return entries;
}

// In single quotes; `escaped` characters get a backslash first, as zsh's _arguments wants it.
std::string Quoted(std::string_view text, bool fish, std::string_view escaped = {}) {
  std::string out = "'";
  for (const char c : text) {
    if (escaped.find(c) != std::string_view::npos) out += '\\';
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

std::string Bash() {
  std::string words;
  std::string texts;
  std::string files;
  std::string folders;
  for (const Entry& entry : Entries()) {
    const std::string flag = "--" + entry.name;
    // With the "=", so that the value follows; a switch stands alone.
    words += (words.empty() ? "" : " ") + flag + (entry.value == Value::kNone ? "" : "=");
    std::string* const names = entry.value == Value::kText     ? &texts
                               : entry.value == Value::kFile   ? &files
                               : entry.value == Value::kFolder ? &folders
                                                               : nullptr;
    if (names != nullptr) *names += (names->empty() ? "" : "|") + flag;
  }
  return "# Completion of gaveld for bash.\n"
         "_gaveld() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} value flag\n"
         "  COMPREPLY=()\n"
         "  # Bash splits \"--flag=value\" at the \"=\".\n"
         "  value=$current\n"
         "  flag=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  if [[ $current == = ]]; then\n"
         "    value=\n"
         "  elif [[ $flag == = ]]; then\n"
         "    flag=${COMP_WORDS[COMP_CWORD-2]}\n"
         "  fi\n"
         "  case $flag in\n"
         "    " +
         folders + ") COMPREPLY=($(compgen -d -- \"$value\")); return ;;\n    " + files +
         ") COMPREPLY=($(compgen -f -- \"$value\")); return ;;\n    " + texts +
         ") return ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W '" +
         words +
         "' -- \"$current\"))\n"
         "  [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n"
         "}\n"
         "complete -F _gaveld gaveld\n";
}

std::string Zsh() {
  std::string out =
      "#compdef gaveld\n# Completion of gaveld for zsh.\n\n_gaveld() {\n  local -a flags\n"
      "  flags=(\n";
  for (const Entry& entry : Entries()) {
    std::string value;
    if (entry.value != Value::kNone) value = ":value:";
    if (entry.value == Value::kFile) value += "_files";
    if (entry.value == Value::kFolder) value += "_files -/";
    out += "    '--" + entry.name + (value.empty() ? "" : "=") + "['" +
           Quoted(entry.help, /*fish=*/false, "[]:\\") + "']" + value + "'\n";
  }
  return out +
         "  )\n  _arguments $flags\n}\n\n"
         "# Read as a file of $fpath it is called at once; read by source it is registered.\n"
         "if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then\n"
         "  _gaveld \"$@\"\n"
         "else\n"
         "  compdef _gaveld gaveld\n"
         "fi\n";
}

std::string Fish() {
  std::string out = "# Completion of gaveld for fish.\ncomplete -c gaveld -f\n";
  for (const Entry& entry : Entries()) {
    out += "complete -c gaveld -l " + entry.name;
    if (entry.value == Value::kText) out += " -x";
    if (entry.value == Value::kFile) out += " -r -F";
    if (entry.value == Value::kFolder) out += " -x -a '(__fish_complete_directories)'";
    out += " -d " + Quoted(entry.help, /*fish=*/true) + "\n";
  }
  return out;
}

std::string Completion(std::string_view shell) {
  if (shell == "bash") return Bash();
  if (shell == "zsh") return Zsh();
  return shell == "fish" ? Fish() : "";
}

}  // namespace
}  // namespace gavel::server

int main(int argc, char** argv) {
  const std::string script = gavel::server::Completion(argc == 2 ? argv[1] : "");
  if (script.empty()) return 2;
  return std::fwrite(script.data(), 1, script.size(), stdout) == script.size() &&
                 std::fflush(stdout) == 0
             ? 0
             : 1;
}
