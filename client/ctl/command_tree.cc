// The commands of gavelctl, as data.
#include "client/ctl/command.h"
#include "client/ctl/commands.h"
#include "client/ctl/kv_requests.h"

namespace gavel::client::ctl {
namespace {

constexpr Formats kHelperFormats = FormatSet({Format::kSimple, Format::kFields, Format::kJson});

Command PutCommand() {
  return {.name = "put",
          .arguments = "<key> [value]",
          .summary = "Put a key.",
          .description =
              "Without [value], the value is read from standard input.\n"
              "A key or value that begins with '-' comes after '--'.",
          .flags = PutFlags(),
          .formats = kMessageFormats,
          .run = &RunPut};
}

Command GetCommand() {
  return {.name = "get",
          .arguments = "<key> [range_end]",
          .summary = "Get a key, or the keys from <key> up to, without, [range_end].",
          .flags = GetFlags(),
          .formats = kMessageFormats,
          .run = &RunGet};
}

Command DeleteCommand() {
  return {.name = "del",
          .arguments = "<key> [range_end]",
          .summary = "Delete a key, or the keys from <key> up to, without, [range_end].",
          .flags = DeleteFlags(),
          .formats = kMessageFormats,
          .run = &RunDelete};
}

Command TxnCommand() {
  return {
      .name = "txn",
      .summary = "Do several requests in one step, or others if a condition does not hold.",
      .description =
          "Reads three lists, each ended by an empty line: compares, the requests to do if all of\n"
          "them hold, and those to do otherwise. For example:\n"
          "\n"
          "  mod(\"config\") = \"7\"\n"
          "\n"
          "  put config \"new value\"\n"
          "\n"
          "  get config\n"
          "\n"
          "A compare is ver, create, mod, val or lease of a key, one of = != < >, and a value, "
          "all\n"
          "in double quotes. A request is put, get or del with its flags. Errors name the line "
          "and\n"
          "the column, and nothing is done.",
      .flags = {{.name = "interactive",
                 .type = FlagType::kSwitch,
                 .help = "Ask for each of the lists.",
                 .letter = 'i'},
                {.name = "file",
                 .help = "Read this file instead of standard input.",
                 .value_name = "FILE",
                 .is_file = true}},
      .formats = kMessageFormats,
      .run = &RunTxn};
}

Command CompactionCommand() {
  return {.name = "compaction",
          .arguments = "<revision>",
          .summary = "Give up the history below a revision.",
          .flags = {{.name = "physical",
                     .type = FlagType::kSwitch,
                     .help = "Wait until the member has deleted what was given up."}},
          .run = &RunCompaction};
}

std::vector<Command> HelperCommands() {
  return {
      {.name = "exists",
       .arguments = "<key>",
       .summary = "Say whether a key is there: true, or false with exit code 7.",
       .formats = kHelperFormats,
       .run = &RunExists},
      {.name = "incr",
       .arguments = "<key> [number]",
       .summary = "Add a number (1) to the decimal number in a key, and write the sum.",
       .formats = kHelperFormats,
       .run = &RunIncrement},
      {.name = "mget",
       .arguments = "<key>...",
       .summary = "Get several keys as they were at one revision.",
       .description = "Keys that are not there are named on standard error; the exit code is 7.",
       .formats = kHelperFormats,
       .run = &RunGetMany},
      {.name = "mset",
       .arguments = "<key> <value> [<key> <value>]...",
       .summary = "Put several keys in one step, all or none.",
       .formats = kHelperFormats,
       .run = &RunPutMany},
      {.name = "setnx",
       .arguments = "<key> <value>",
       .summary = "Put a key only if it is not there.",
       .description = "Writes true; or false and what is there, with exit code 7.",
       .formats = kHelperFormats,
       .run = &RunPutIfAbsent},
  };
}

Command MemberCommand() {
  return {.name = "member",
          .summary = "The members of the cluster.",
          .subcommands = {
              {.name = "list",
               .summary = "List the members.",
               .description = "Id, status, name, peer URLs, client URLs, whether a learner.",
               .flags = {{.name = "consistency",
                          .default_text = "l",
                          .help = "l: linearizable. s: as one member knows it.",
                          .value_name = "l|s",
                          .choices = {"l", "s"}}},
               .formats = FormatSet({Format::kSimple, Format::kFields, Format::kJson,
                                     Format::kTable, Format::kProtobuf}),
               .run = &RunMemberList}}};
}

Command EndpointCommand() {
  const std::vector<FlagSpec> cluster = {
      {.name = "cluster",
       .type = FlagType::kSwitch,
       .help = "All endpoints of the cluster, in place of --endpoints."}};
  return {.name = "endpoint",
          .summary = "Look at single members.",
          .flags = cluster,
          .subcommands = {
              {.name = "health",
               .summary = "Say whether each endpoint can serve.",
               .formats = kListFormats,
               .run = &RunEndpointHealth},
              {.name = "status",
               .summary = "Show the status of each endpoint.",
               .description =
                   "Endpoint, id, version, storage version, size, size in use, percentage not in\n"
                   "use, quota, whether leader, whether learner, term, index, applied index,\n"
                   "errors, downgrade target version, whether a downgrade is enabled.",
               .formats = kListFormats,
               .run = &RunEndpointStatus},
              {.name = "hashkv",
               .summary = "Show the hash of the keys and their history on each endpoint.",
               .flags = {{.name = "rev",
                          .type = FlagType::kInteger,
                          .default_text = "0",
                          .help = "Newest revision to hash; 0: all.",
                          .value_name = "REVISION"}},
               .formats = kListFormats,
               .run = &RunEndpointHashKv}}};
}

Command MakeRoot() {
  Command root{.name = "gavelctl",
               .summary = "Command line of Gavel, a replicated configuration store.",
               .description =
                   "Speaks etcd's v3 API, so it also serves a cluster of etcd.\n"
                   "Commands may be shortened as long as it is clear which is meant."};
  root.subcommands = {PutCommand(), GetCommand(), DeleteCommand(), TxnCommand(),
                      CompactionCommand()};
  for (Command& command : HelperCommands()) root.subcommands.push_back(std::move(command));
  root.subcommands.push_back(MemberCommand());
  root.subcommands.push_back(EndpointCommand());
  root.subcommands.push_back(
      {.name = "version", .summary = "Show the version.", .run = &RunVersion});
  return root;
}

}  // namespace

const Command& RootCommand() {
  static const Command root = MakeRoot();
  return root;
}

}  // namespace gavel::client::ctl
