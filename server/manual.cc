// Writes the manual page gaveld(1) from the table of flags. Runs while Gavel is built, and is not
// installed.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "server/options_table.h"
#include "server/roff.h"

namespace gavel::server {
namespace {

std::string Entry(std::string_view name, std::string_view help, std::string_view default_text) {
  std::string out = ".TP\n\\fB" + Roff("--" + std::string(name)) + "\\fR\n" + Roff(help);
  if (!default_text.empty()) out += " Default: " + Roff(default_text);
  return out + "\n";
}

std::string List(const std::vector<Flag>& flags) {
  std::string out;
  for (const Flag& flag : flags) {
    if (!out.empty()) out += ",\n";
    out += Roff("--" + flag.name);
  }
  return out + ".\n";
}

std::string ManualPage() {
  std::string out =
      ".TH GAVELD 1 \"\" \"Gavel " GAVEL_VERSION
      "\" \"User Commands\"\n"
      ".SH NAME\ngaveld \\- a member of a Gavel cluster\n"
      ".SH SYNOPSIS\n.B gaveld\n.RI [ flags ]\n"
      ".SH DESCRIPTION\n"
      "Gavel is a replicated configuration store that speaks etcd\\(aqs v3 API. Its flags, "
      "variables and\nconfiguration file are etcd\\(aqs.\n"
      ".PP\nEach flag may be given as a variable: \\-\\-data\\-dir is \\fBETCD_DATA_DIR\\fR, and "
      "the flag wins.\nOr all come from a YAML file by \\fB\\-\\-config\\-file\\fR, which then "
      "counts alone.\n"
      ".PP\nEnded by SIGTERM or SIGINT, it stops cleanly.\n"
      ".SH OPTIONS\n";
  std::string group;
  for (const Flag& flag : AllFlags()) {
    if (flag.group.empty()) continue;
    if (flag.group != group) {
      group = flag.group;
      out += ".SS " + Roff(group) + "\n";
    }
    out += Entry(flag.name, flag.help, flag.default_text);
  }
  out += ".SS Other\n" + Entry("config-file", "File of flags: YAML, their names as keys.", "") +
         Entry("help", "Show the flags.", "") + Entry("version", "Show the version.", "");
  out += ".SH FLAGS WITHOUT EFFECT\nThese flags of etcd are accepted with a warning:\n" +
         List(FlagsWithoutEffect());
  out +=
      ".SH FLAGS THAT ARE REFUSED\nThese flags of etcd ask for what this release does not have, "
      "and to go on without would be less safe:\n" +
      List(RefusedFlags());
  return out + ".SH SEE ALSO\n.BR gavelctl (1),\n.BR gavelutl (1)\n";
}

}  // namespace
}  // namespace gavel::server

int main() {
  const std::string page = gavel::server::ManualPage();
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0
             ? 0
             : 1;
}
