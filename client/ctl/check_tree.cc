// The checks, as data.
#include "client/ctl/command_groups.h"
#include "client/ctl/commands.h"

namespace gavel::client::ctl {
namespace {

// Those of all checks, which write keys of their own and delete them afterwards.
std::vector<FlagSpec> CheckFlags(std::string_view prefix, std::vector<FlagSpec> more) {
  std::vector<FlagSpec> flags = {
      {.name = "load",
       .default_text = "s",
       .help = "Load: s(mall), m(edium), l(arge) or xl(arge).",
       .value_name = "s|m|l|xl",
       .choices = {"s", "m", "l", "xl"}},
      {.name = "prefix",
       .default_text = prefix,
       .help = "Prefix of the keys that are written; no other keys may have it.",
       .value_name = "PREFIX"},
      {.name = "auto-compact",
       .type = FlagType::kSwitch,
       .help = "Compact the history afterwards."},
      {.name = "auto-defrag",
       .type = FlagType::kSwitch,
       .help = "Defragment the endpoints afterwards."}};
  for (FlagSpec& flag : more) flags.push_back(std::move(flag));
  return flags;
}

Command PerfCommand() {
  return {.name = "perf",
          .summary = "Write at a given rate for a minute, and say whether the cluster bears it.",
          .description =
              "Passes if 90% of the rate are reached, no write took longer than 0.5 s, their\n"
              "times deviate by at most 0.1 s, and none failed. The keys are deleted afterwards.\n"
              "Loads: s 150, m 1000, l 8000, xl 15000 writes each second of 1 KiB.",
          .flags = CheckFlags("/etcdctl-check-perf/", {{.name = "duration",
                                                        .type = FlagType::kDuration,
                                                        .default_text = "60s",
                                                        .help = "How long to write."}}),
          .run = &RunCheckPerf};
}

Command DatascaleCommand() {
  return {.name = "datascale",
          .summary = "Write many keys, and say how much more memory a member uses with them.",
          .description =
              "The member is that of the first endpoint, and its memory is what its metrics tell.\n"
              "The keys are deleted afterwards. Loads: s 10000, m 100000, l 1000000, xl 3000000\n"
              "keys of 1 KiB each with its value.",
          .flags = CheckFlags("/etcdctl-check-datascale/",
                              {{.name = "metrics-url",
                                .help = "Where that member tells its metrics: for Gavel, one of "
                                        "its --listen-metrics-urls. Default: the endpoint.",
                                .value_name = "URL"}}),
          .run = &RunCheckDatascale};
}

}  // namespace

Command CheckCommand() {
  return {.name = "check",
          .summary = "Check what the cluster can do.",
          .subcommands = {PerfCommand(), DatascaleCommand()}};
}

}  // namespace gavel::client::ctl
