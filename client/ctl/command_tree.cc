// The commands of gavelctl, as data.
#include "client/ctl/command.h"
#include "client/ctl/command_groups.h"
#include "client/ctl/commands.h"
#include "client/ctl/kv_requests.h"
#include "client/ctl/watch_request.h"

namespace gavel::client::ctl {
namespace {

constexpr Formats kSimpleOnly = FormatSet({Format::kSimple});
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
  std::vector<FlagSpec> flags = GetFlags();
  flags.push_back({.name = "stream",
                   .type = FlagType::kSwitch,
                   .help = "Read and write chunk by chunk, whatever the size of the range."});
  return {.name = "get",
          .arguments = "<key> [range_end]",
          .summary = "Get a key, or the keys from <key> up to, without, [range_end].",
          .flags = std::move(flags),
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

Command WatchCommand() {
  return {
      .name = "watch",
      .arguments = "[key] [range_end] [-- command ...]",
      .summary = "Tell of changes of a key, or of those from [key] up to, without, [range_end].",
      .description =
          "With a command, it runs once for each change, with ETCD_WATCH_REVISION,\n"
          "ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment, the\n"
          "last three in quotes.\n"
          "Key and range may come from ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END.\n"
          "With -i, each line of standard input is 'watch' with arguments as here, or\n"
          "'progress'.",
      .flags = WatchFlags(),
      .formats = kMessageFormats,
      .run = &RunWatch};
}

Command LeaseCommand() {
  return {.name = "lease",
          .summary = "Leases: keys that go when their time is up.",
          .subcommands = {{.name = "grant",
                           .arguments = "<seconds>",
                           .summary = "Begin a lease.",
                           .formats = kMessageFormats,
                           .run = &RunLeaseGrant},
                          {.name = "revoke",
                           .arguments = "<lease>",
                           .summary = "End a lease, and delete the keys that are attached to it.",
                           .formats = kMessageFormats,
                           .run = &RunLeaseRevoke},
                          {.name = "timetolive",
                           .arguments = "<lease>",
                           .summary = "Show how much time a lease has left.",
                           .flags = {{.name = "keys",
                                      .type = FlagType::kSwitch,
                                      .help = "Also list the keys that are attached to it."}},
                           .formats = kMessageFormats,
                           .run = &RunLeaseTimeToLive},
                          {.name = "list",
                           .summary = "List the leases that a member knows of.",
                           .formats = kMessageFormats,
                           .run = &RunLeaseList},
                          {.name = "keep-alive",
                           .arguments = "<lease>",
                           .summary = "Renew a lease until it ends, or once.",
                           .flags = {{.name = "once",
                                      .type = FlagType::kSwitch,
                                      .help = "Renew it one time only."}},
                           .formats = kMessageFormats,
                           .run = &RunLeaseKeepAlive}}};
}

Command LockCommand() {
  return {.name = "lock",
          .arguments = "<name> [-- command ...]",
          .summary = "Hold a lock until interrupted, or while a command runs.",
          .description =
              "Waits until the lock is free, then writes its key, or runs the command with\n"
              "ETCD_LOCK_KEY, ETCD_LOCK_REV and GAVEL_FENCING_TOKEN in its environment and ends\n"
              "with its exit code. The token is the create revision of the key, and grows from\n"
              "holder to holder: a write that compares it cannot be one of an earlier holder.\n"
              "SIGINT and SIGTERM are passed on to the command. If the lock is lost, the command\n"
              "is ended by SIGTERM.",
          .flags = {{.name = "ttl",
                     .type = FlagType::kInteger,
                     .default_text = "10",
                     .help = "Seconds after which the lock is free if this program vanishes.",
                     .value_name = "SECONDS"},
                    {.name = "kill-after",
                     .type = FlagType::kDuration,
                     .default_text = "5s",
                     .help = "Time for the command to end after the lock was lost."}},
          .formats = kMessageFormats,
          .run = &RunLock};
}

Command ElectCommand() {
  return {.name = "elect",
          .arguments = "<name> [proposal]",
          .summary = "Stand for election and lead until interrupted, or watch the leaders.",
          .flags = {{.name = "listen",
                     .type = FlagType::kSwitch,
                     .help = "Only show who leads, now and from then on.",
                     .letter = 'l'}},
          .formats = kMessageFormats,
          .run = &RunElect};
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

Command DefragCommand() {
  return {.name = "defrag",
          .summary = "Have members give the space of what was deleted back to their disks.",
          .description =
              "Gavel does that by itself too, and serves meanwhile; the command returns when it\n"
              "has begun. A member of etcd serves nobody until it is done.",
          .flags = {{.name = "cluster",
                     .type = FlagType::kSwitch,
                     .help = "All endpoints of the cluster, in place of --endpoints."}},
          .run = &RunDefrag};
}

Command MoveLeaderCommand() {
  return {.name = "move-leader",
          .arguments = "<member>",
          .summary = "Have the leader hand over to another member.",
          .description =
              "The leader must be one of --endpoints; 'gavelctl member list' has the "
              "ids.",
          .formats = FormatSet({Format::kSimple, Format::kJson, Format::kProtobuf}),
          .run = &RunMoveLeader};
}

Command AlarmCommand() {
  return {
      .name = "alarm",
      .summary = "Show and end the alarms of the cluster.",
      .subcommands = {
          {.name = "list",
           .summary = "List the alarms that are raised.",
           .formats = kMessageFormats,
           .run = &RunAlarmList},
          {.name = "disarm",
           .summary = "End all alarms.",
           .description = "Lists those that have ended. Gavel ends NOSPACE by itself once there\n"
                          "is room again, and raises it again if there is none.",
           .formats = kMessageFormats,
           .run = &RunAlarmDisarm}}};
}

Command SnapshotCommand() {
  return {
      .name = "snapshot",
      .summary = "Back up the store.",
      .subcommands = {
          {.name = "save",
           .arguments = "<file>",
           .summary = "Write all that one member holds into a file.",
           .description =
               "The member is the one that --endpoints names. The file gets its name when it is\n"
               "whole and checked. gavelutl looks at such files, and restores them.",
           .takes_files = true,
           .run = &RunSnapshotSave}}};
}

FlagSpec FormatFlag(std::string_view help) {
  return {.name = "format", .help = help, .value_name = "yaml|json", .choices = {"yaml", "json"}};
}

FlagSpec DryRunFlag() {
  return {.name = "dry-run", .type = FlagType::kSwitch, .help = "Only show the difference."};
}

FlagSpec KeepOthersFlag() {
  return {.name = "keep-others",
          .type = FlagType::kSwitch,
          .help = "Leave keys alone that the file does not have."};
}

FlagSpec RevisionFlag(std::string_view help) {
  return {.name = "rev",
          .type = FlagType::kInteger,
          .default_text = "0",
          .help = help,
          .value_name = "REVISION"};
}

Command ConfigCommand() {
  Command config{.name = "config", .summary = "A prefix as a file; its past."};
  config.subcommands = {
      {.name = "export",
       .arguments = "<prefix>",
       .summary = "Write the keys with a prefix as YAML or JSON.",
       .description = "--write-out=json means --format=json.",
       .flags = {{.name = "file",
                  .help = "Write to this file instead of standard output.",
                  .value_name = "FILE",
                  .is_file = true},
                 FormatFlag("Default: by the file's ending, .json or not."),
                 RevisionFlag("Revision to export; 0: the newest.")},
       .formats = FormatSet({Format::kSimple, Format::kJson}),
       .run = &RunConfigExport},
      {.name = "diff",
       .arguments = "<file>",
       .summary = "Show how the store would change to be as a file says; exit code 7 if at all.",
       .flags = {FormatFlag("Default: by the file's ending, .json or not."), KeepOthersFlag(),
                 RevisionFlag("Revision of the store to compare with; 0: the newest.")},
       .formats = kSimpleOnly,
       .takes_files = true,
       .run = &RunConfigDiff},
      {.name = "apply",
       .arguments = "<file>",
       .summary = "Make the keys with a prefix be as a file says, in one step.",
       .description =
           "Shows the difference, then writes one transaction. If others have changed, created or\n"
           "deleted a key with the prefix since it was read, nothing is done. Keys that the file\n"
           "does not have are deleted, but for --keep-others. Keys keep their leases. Where the\n"
           "prefix has more than 127 keys, a deletion by others of one that was not to change is\n"
           "told afterwards.",
       .flags = {DryRunFlag(), KeepOthersFlag(),
                 FormatFlag("Default: by the file's ending, .json or not.")},
       .formats = kSimpleOnly,
       .takes_files = true,
       .run = &RunConfigApply},
      {.name = "history",
       .arguments = "<key>",
       .summary = "List what a key held and when it was deleted, as far as history is kept.",
       .description =
           "Where the key was not there, revisions are looked at one by one, going back. All\n"
           "requests together have the time of --command-timeout; if that is up before the end, "
           "what\n"
           "was found is listed, and the --rev to go on from is told, with exit code 1.",
       .flags = {{.name = "limit",
                  .type = FlagType::kInteger,
                  .default_text = "0",
                  .help = "Most entries to list, the newest first; 0: all."},
                 RevisionFlag("Revision to begin with, going back; 0: the newest.")},
       .formats = kListFormats,
       .run = &RunConfigHistory},
      {.name = "revert",
       .arguments = "<prefix>",
       .summary = "Make the keys with a prefix be as they were at a revision, in one step.",
       .description = "Guarded like apply. Leases do not come back: a key keeps the lease that it "
                      "has now, and\n"
                      "one that was deleted since returns without a lease.",
       .flags = {RevisionFlag("The revision to go back to."),
                 {.name = "single",
                  .type = FlagType::kSwitch,
                  .help = "<prefix> is one key rather than a prefix."},
                 DryRunFlag()},
       .formats = kSimpleOnly,
       .run = &RunConfigRevert}};
  return config;
}

Command MakeRoot() {
  Command root{.name = "gavelctl",
               .summary = "Command line of Gavel, a replicated configuration store.",
               .description =
                   "Speaks etcd's v3 API, so it also serves a cluster of etcd.\n"
                   "Commands may be shortened as long as it is clear which is meant."};
  root.subcommands = {PutCommand(),   GetCommand(),        DeleteCommand(),
                      TxnCommand(),   CompactionCommand(), WatchCommand(),
                      LeaseCommand(), LockCommand(),       ElectCommand()};
  for (Command& command : HelperCommands()) root.subcommands.push_back(std::move(command));
  root.subcommands.push_back(MemberCommand());
  root.subcommands.push_back(EndpointCommand());
  root.subcommands.push_back(AlarmCommand());
  root.subcommands.push_back(DefragCommand());
  root.subcommands.push_back(MoveLeaderCommand());
  root.subcommands.push_back(SnapshotCommand());
  root.subcommands.push_back(CheckCommand());
  root.subcommands.push_back(MirrorCommand());
  root.subcommands.push_back(ConfigCommand());
  root.subcommands.push_back({.name = "completion",
                              .arguments = "<bash|zsh|fish>",
                              .summary = "Write the script that completes words in a shell.",
                              .words = {"bash", "zsh", "fish"},
                              .run = &RunCompletion});
  root.subcommands.push_back(
      {.name = "manual", .summary = "Write the manual page, for 'man -l -'.", .run = &RunManual});
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
