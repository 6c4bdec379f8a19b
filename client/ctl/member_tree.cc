// The commands on members, as data.
#include "client/ctl/command_groups.h"
#include "client/ctl/commands.h"

namespace gavel::client::ctl {
namespace {

constexpr Formats kMemberFormats =
    FormatSet({Format::kSimple, Format::kFields, Format::kJson, Format::kTable, Format::kProtobuf});

FlagSpec PeerUrlsFlag(std::string_view help) {
  return {.name = "peer-urls", .help = help, .value_name = "URL[,URL...]"};
}

Command AddCommand() {
  return {
      .name = "add",
      .arguments = "<name>",
      .summary = "Let a new member in.",
      .description =
          "Writes its id, and the variables with which its server is to be started on an empty\n"
          "data directory. Gavel lets a voter in as a learner, and promotes it when it has\n"
          "caught up.",
      .flags = {PeerUrlsFlag("Where the others reach the new member: http://host:2380."),
                {.name = "learner",
                 .type = FlagType::kSwitch,
                 .help = "It gets all data, but has no vote until it is promoted."}},
      .formats = kMemberFormats,
      .run = &RunMemberAdd};
}

Command UpdateCommand() {
  return {.name = "update",
          .arguments = "<id>",
          .summary = "Have the others reach a member at other URLs.",
          .description = "Its server is to be started anew with them.",
          .flags = {PeerUrlsFlag("All URLs at which the others reach it from now on.")},
          .formats = kMemberFormats,
          .run = &RunMemberUpdate};
}

Command ReplaceCommand() {
  return {
      .name = "replace",
      .arguments = "<id> <name>",
      .summary = "Put a new member in the place of one that is lost.",
      .description =
          "The new one is let in, and once it has caught up, one change makes it a voter and\n"
          "takes the other out. Writes its id, and the variables with which its server is to be\n"
          "started on an empty data directory. Of Gavel's servers only.",
      .flags = {PeerUrlsFlag("Where the others reach the new member: http://host:2380.")},
      .formats = kMemberFormats,
      .run = &RunMemberReplace};
}

Command ListCommand() {
  return {.name = "list",
          .summary = "List the members.",
          .description = "Id, status, name, peer URLs, client URLs, whether a learner.",
          .flags = {{.name = "consistency",
                     .default_text = "l",
                     .help = "l: linearizable. s: as one member knows it.",
                     .value_name = "l|s",
                     .choices = {"l", "s"}}},
          .formats = kMemberFormats,
          .run = &RunMemberList};
}

}  // namespace

Command MemberCommand() {
  return {.name = "member",
          .summary = "The members of the cluster.",
          .subcommands = {AddCommand(),
                          {.name = "remove",
                           .arguments = "<id>",
                           .summary = "Take a member out for good; its server ends.",
                           .formats = kMemberFormats,
                           .run = &RunMemberRemove},
                          UpdateCommand(),
                          {.name = "promote",
                           .arguments = "<id>",
                           .summary = "Make a voter of a learner that has caught up.",
                           .formats = kMemberFormats,
                           .run = &RunMemberPromote},
                          ReplaceCommand(),
                          ListCommand()}};
}

}  // namespace gavel::client::ctl
