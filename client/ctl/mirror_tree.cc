// make-mirror, as data.
#include "client/ctl/command_groups.h"
#include "client/ctl/commands.h"

namespace gavel::client::ctl {
namespace {

std::vector<FlagSpec> MakeMirrorFlags() {
  std::vector<FlagSpec> flags = {
      {.name = "prefix", .help = "Keys to mirror; empty: all.", .value_name = "PREFIX"},
      {.name = "rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Copy nothing, and mirror what changed from this revision on.",
       .value_name = "REVISION"},
      {.name = "dest-prefix",
       .help = "Takes the place of --prefix there; empty: --prefix itself.",
       .value_name = "PREFIX"},
      {.name = "no-dest-prefix",
       .type = FlagType::kSwitch,
       .help = "Nothing takes the place of --prefix there."},
      {.name = "max-txn-ops",
       .type = FlagType::kInteger,
       .default_text = "128",
       .help = "Most changes that the destination takes in one transaction."},
      {.name = "dest-insecure-transport",
       .type = FlagType::kSwitch,
       .default_text = "true",
       .help = "Connect without TLS; the only way in this release.",
       .refusal = kNoTls},
  };
  for (const std::string_view name : {"dest-cacert", "dest-cert", "dest-key"}) {
    flags.push_back({.name = name,
                     .help = "Refused: this release has no TLS.",
                     .value_name = "FILE",
                     .is_file = true,
                     .refusal = kNoTls});
  }
  for (const std::string_view name : {"dest-user", "dest-password"}) {
    flags.push_back(
        {.name = name, .help = "Refused: this release cannot log in.", .refusal = kNoUsers});
  }
  return flags;
}

}  // namespace

const std::vector<FlagSpec>& MirrorFlags() {
  static const std::vector<FlagSpec> flags = MakeMirrorFlags();
  return flags;
}

Command MirrorCommand() {
  return {
      .name = "make-mirror",
      .arguments = "<destination>",
      .summary = "Copy keys to another cluster, and keep the copy like them until interrupted.",
      .description =
          "Copies the keys as they are at one revision, and then makes every change there too,\n"
          "one transaction for each revision. Writes how many changes it has made every 30 s.\n"
          "Leases are not copied, and keys that only the destination has stay. It must be the\n"
          "only one that writes there. What ends it tells the revision to go on from.",
      .flags = MirrorFlags(),
      .run = &RunMakeMirror};
}

}  // namespace gavel::client::ctl
