#include "client/ctl/manual.h"

#include <string>

#include "client/ctl/commands.h"
#include "client/ctl/help.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// Text as roff takes it: no command at the beginning of a line, no escapes.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool begins = out.empty() || out.back() == '\n';
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '"') {
      out += "\\(dq";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '^') {
      out += "\\(ha";
    } else if (c == '~') {
      out += "\\(ti";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Section(std::string_view title) { return ".SH " + std::string(title) + "\n"; }
std::string Bold(std::string_view text) { return "\\fB" + Roff(text) + "\\fR"; }

std::string FlagEntry(const FlagSpec& flag) {
  std::string out = ".TP\n" + Bold(FlagForm(flag)) + "\n" +
                    Roff(flag.help.empty() ? "Not in this release, and refused." : flag.help);
  const bool plain =
      flag.default_text.empty() || (flag.type == FlagType::kInteger && flag.default_text == "0");
  if (!plain && flag.refusal.empty())
    out += Roff(" Default: " + std::string(flag.default_text)) + ".";
  return out + "\n";
}

// Lines of a description; those that are indented keep their form.
std::string Description(std::string_view text) {
  std::string out;
  bool literal = false;
  for (const std::string& line : Split(text, '\n')) {
    const bool indented = line.substr(0, 2) == "  ";
    if (indented && !literal) out += ".PP\n.nf\n";
    if (!indented && !line.empty() && literal) out += ".fi\n.PP\n";
    if (indented || !line.empty()) literal = indented;
    out += line.empty() ? (literal ? ".sp\n" : ".PP\n") : Roff(line) + "\n";
  }
  return literal ? out + ".fi\n" : out;
}

std::string CommandEntry(const CommandPath& path) {
  const Command& command = *path.back();
  std::string out = ".SS " + Roff(UsageLine(path)) + "\n" + Roff(command.summary) + "\n";
  if (!command.description.empty()) out += ".PP\n" + Description(command.description);
  for (const FlagSpec& flag : OwnFlags(path)) out += FlagEntry(flag);
  return out;
}

constexpr char kFiles[] =
    "A file of \\fBgavelctl config\\fR is YAML or, if its name ends in .json, JSON:\n"
    ".PP\n.nf\n"
    "prefix: app/\n"
    "revision: 42\n"
    "keys:\n"
    "  colour: \\(dqblue\\(dq\n"
    "  logo: {base64: iVBORw0KGgo=}\n"
    "binary_keys:\n"
    "  \\- {key: \\(dq/w==\\(dq, value: \\(dqAAEC\\(dq}\n"
    ".fi\n.PP\n"
    "Keys are named without the prefix. Values are text in quotes, or bytes in base64; keys that "
    "are no\ntext are listed under binary_keys, in base64. The revision tells when it was exported "
    "and is not needed.\n";

}  // namespace

std::string ManualPage() {
  const Command& root = RootCommand();
  std::string out = ".TH GAVELCTL 1 \"\" \"Gavel " GAVEL_CLIENT_VERSION "\" \"User Commands\"\n";
  out += Section("NAME") + "gavelctl \\- command line of Gavel\n";
  out += Section("SYNOPSIS") + ".B gavelctl\n.RI [ flags ]\n.I command\n.RI [ arguments ]\n";
  out += Section("DESCRIPTION") + Roff(root.summary) + "\n" + Description(root.description);
  out +=
      ".PP\nFlags may stand anywhere; a switch takes a value only with \\(dq=\\(dq. What comes "
      "after\n.B \\-\\-\nis no flag.\n";
  out +=
      ".PP\nOn a terminal, characters of keys and values that it could take for commands are "
      "written as escapes.\nElsewhere bytes are written as they are.\n";
  out += Section("COMMANDS");
  for (const CommandPath& path : RunnableCommands()) out += CommandEntry(path);
  out += Section("GLOBAL OPTIONS");
  for (const FlagSpec& flag : GlobalFlags()) out += FlagEntry(flag);
  out += Section("ENVIRONMENT") +
         "Each global option can come from a variable: \\fBGAVELCTL_WRITE_OUT\\fR is "
         "\\-\\-write\\-out.\nIf that is not set, \\fBETCDCTL_WRITE_OUT\\fR counts, as for "
         "etcdctl. The command line wins over both.\n.TP\n.B NO_COLOR\nIf it is set to anything, "
         "nothing is coloured.\n";
  out += Section("FILES") + kFiles;
  out += Section("EXIT STATUS");
  for (const ExitCodeText& entry : ExitCodeTexts()) {
    out += ".TP\n" + Bold(std::to_string(entry.code)) + "\n" + Roff(entry.text) + "\n";
  }
  return out + Section("SEE ALSO") + ".BR gaveld (1)\n";
}

MaybeFailure RunManual(Session& session) {
  session.output().Write(ManualPage());
  return std::nullopt;
}

}  // namespace gavel::client::ctl
