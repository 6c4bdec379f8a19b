#include "client/ctl/kv_requests.h"

#include <utility>

#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr std::string_view kChooseOne = " cannot be set at the same time, choose one";

constexpr char kPutForm[] = "It is put <key> <value>; an empty value is ''.";
constexpr char kGetForm[] = "It is get <key> [range_end]. All keys are '' with --prefix.";
constexpr char kDeleteForm[] = "It is del <key> [range_end]. All keys are '' with --prefix.";
constexpr char kRangeForms[] =
    "The keys from one to another are <key> <range_end>; those that begin with one are <key> "
    "--prefix, and those from one on <key> --from-key.";

Expected<int64_t> ReadLease(std::string_view text) {
  const std::optional<int64_t> lease = ParseInteger(text, 16);
  if (lease) return *lease;
  return BadArguments("bad lease ID (" + Quote(text) + "), expecting ID in Hex",
                      "It is as 'gavelctl lease grant' wrote it; 'gavelctl lease list' shows the "
                      "ids.");
}

// The keys that words and the flags --prefix and --from-key stand for.
Expected<KeyRange> ReadRange(const FlagValues& flags, const std::vector<std::string>& words) {
  const bool prefix = flags.Switch("prefix");
  const bool from_key = flags.Switch("from-key");
  if (prefix && from_key) {
    return BadArguments("`--prefix` and `--from-key`" + std::string(kChooseOne), kRangeForms);
  }
  if (words.size() > 1 && (prefix || from_key)) {
    return BadArguments(
        "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        kRangeForms);
  }
  if (prefix) return KeyRange::Prefix(words[0]);
  if (from_key) return KeyRange::From(words[0]);
  if (words.size() > 1) return KeyRange(words[0], words[1]);
  return KeyRange(words[0]);
}

Expected<SortOrder> ReadOrder(const std::string& text) {
  const std::string order = ToUpper(text);
  if (order == "ASCEND") return SortOrder::kAscend;
  if (order == "DESCEND") return SortOrder::kDescend;
  if (order.empty()) return SortOrder::kNone;
  return Failure{ExitCode::kBadFeature, "bad sort order " + text, "It is ASCEND or DESCEND."};
}

Expected<SortTarget> ReadTarget(const std::string& text) {
  const std::string target = ToUpper(text);
  if (target == "CREATE") return SortTarget::kCreate;
  if (target == "KEY" || target.empty()) return SortTarget::kKey;
  if (target == "MODIFY") return SortTarget::kMod;
  if (target == "VALUE") return SortTarget::kValue;
  if (target == "VERSION") return SortTarget::kVersion;
  return Failure{ExitCode::kBadFeature, "bad sort target " + text,
                 "It is CREATE, KEY, MODIFY, VALUE or VERSION."};
}

}  // namespace

const std::vector<FlagSpec>& PutFlags() {
  static const std::vector<FlagSpec> flags = {
      {.name = "lease",
       .type = FlagType::kText,
       .default_text = "0",
       .help = "Id (in hexadecimal) of the lease to attach the key to.",
       .value_name = "ID"},
      {.name = "prev-kv", .type = FlagType::kSwitch, .help = "Also write what was there before."},
      {.name = "ignore-value",
       .type = FlagType::kSwitch,
       .help = "Keep the value that the key has."},
      {.name = "ignore-lease",
       .type = FlagType::kSwitch,
       .help = "Keep the lease that the key has."},
  };
  return flags;
}

const std::vector<FlagSpec>& GetFlags() {
  static const std::vector<FlagSpec> flags = {
      {.name = "prefix", .type = FlagType::kSwitch, .help = "All keys that begin with <key>."},
      {.name = "from-key",
       .type = FlagType::kSwitch,
       .help = "All keys that are not below <key> in the order of bytes."},
      {.name = "limit",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Most keys to write; 0: all."},
      {.name = "order",
       .help = "Order of the keys: ASCEND or DESCEND.",
       .value_name = "ORDER",
       .choices = {"ASCEND", "DESCEND"}},
      {.name = "sort-by",
       .help = "What to sort by: CREATE, KEY, MODIFY, VALUE or VERSION.",
       .value_name = "TARGET",
       .choices = {"CREATE", "KEY", "MODIFY", "VALUE", "VERSION"}},
      {.name = "rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Revision to read at; 0: the newest.",
       .value_name = "REVISION"},
      {.name = "consistency",
       .default_text = "l",
       .help = "l: linearizable. s: serializable, from one member's copy, which may be behind.",
       .value_name = "l|s",
       .choices = {"l", "s"}},
      {.name = "keys-only", .type = FlagType::kSwitch, .help = "Leave the values out."},
      {.name = "count-only",
       .type = FlagType::kSwitch,
       .help = "Only how many keys there are; with --write-out=fields or json."},
      {.name = "print-value-only",
       .type = FlagType::kSwitch,
       .help = "Leave the keys out; with --write-out=simple."},
      {.name = "min-mod-rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Leave out keys last changed before this revision.",
       .value_name = "REVISION"},
      {.name = "max-mod-rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Leave out keys last changed after this revision.",
       .value_name = "REVISION"},
      {.name = "min-create-rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Leave out keys created before this revision.",
       .value_name = "REVISION"},
      {.name = "max-create-rev",
       .type = FlagType::kInteger,
       .default_text = "0",
       .help = "Leave out keys created after this revision.",
       .value_name = "REVISION"},
  };
  return flags;
}

const std::vector<FlagSpec>& DeleteFlags() {
  static const std::vector<FlagSpec> flags = {
      {.name = "prefix", .type = FlagType::kSwitch, .help = "All keys that begin with <key>."},
      {.name = "from-key",
       .type = FlagType::kSwitch,
       .help = "All keys that are not below <key> in the order of bytes."},
      {.name = "prev-kv", .type = FlagType::kSwitch, .help = "Also write what was deleted."},
      {.name = "range",
       .type = FlagType::kSwitch,
       .help = "Delete <key> to [range_end] at once, without two seconds to think again."},
  };
  return flags;
}

Expected<PutRequest> ReadPut(const FlagValues& flags, const std::vector<std::string>& words,
                             const ValueSource& source) {
  constexpr std::string_view kUsage =
      "put command needs 1 argument and input from stdin or 2 arguments";
  if (words.empty()) return BadArguments(std::string(kUsage), kPutForm);
  PutRequest request{.key = words[0]};
  request.prev_kv = flags.Switch("prev-kv");
  request.ignore_value = flags.Switch("ignore-value");
  request.ignore_lease = flags.Switch("ignore-lease");
  if (request.ignore_value && words.size() > 1) {
    return BadArguments("put command needs only 1 argument when 'ignore-value' is set",
                        "--ignore-value keeps the value that the key has; give no other.");
  }
  if (words.size() > 2) {
    return BadArguments(std::string(kUsage) + ", not " + std::to_string(words.size()),
                        "A value with spaces is one argument when it stands in quotes.");
  }
  const Expected<int64_t> lease = ReadLease(flags.Text("lease"));
  if (!lease.ok()) return lease.failure();
  request.lease = *lease;
  if (words.size() == 2) {
    request.value = words[1];
  } else if (!request.ignore_value) {
    if (source == nullptr) return BadArguments("put needs a key and a value", kPutForm);
    Expected<std::string> value = source();
    if (!value.ok()) return value.failure();
    // An empty value is given as an argument: nothing on a pipe is rather a mistake before it.
    if (value->empty()) return BadArguments(std::string(kUsage), kPutForm);
    request.value = *std::move(value);
  }
  return request;
}

Expected<RangeRequest> ReadGet(const FlagValues& flags, const std::vector<std::string>& words) {
  constexpr std::string_view kUsage =
      "get command needs one argument as key and an optional argument as range_end";
  if (words.empty() || words.size() > 2) return BadArguments(std::string(kUsage), kGetForm);
  RangeRequest request;
  request.keys_only = flags.Switch("keys-only");
  request.count_only = flags.Switch("count-only");
  if (request.keys_only && request.count_only) {
    return BadArguments("`--keys-only` and `--count-only`" + std::string(kChooseOne),
                        "--count-only tells how many keys there are, and none of them.");
  }
  const std::string& consistency = flags.Text("consistency");
  if (consistency != "l" && consistency != "s") {
    return Failure{ExitCode::kBadFeature, "unknown consistency flag " + Quote(consistency),
                   "It is l (linearizable) or s (serializable)."};
  }
  request.serializable = consistency == "s";
  const Expected<KeyRange> range = ReadRange(flags, words);
  if (!range.ok()) return range.failure();
  request.range = *range;
  const Expected<SortOrder> order = ReadOrder(flags.Text("order"));
  if (!order.ok()) return order.failure();
  const Expected<SortTarget> target = ReadTarget(flags.Text("sort-by"));
  if (!target.ok()) return target.failure();
  // etcd's own client drops the one order that needs no sorting.
  const bool natural = *target == SortTarget::kKey && *order == SortOrder::kAscend;
  request.sort_order = natural ? SortOrder::kNone : *order;
  request.sort_target = *target;
  request.limit = flags.Integer("limit");
  request.revision = flags.Integer("rev") > 0 ? flags.Integer("rev") : 0;
  request.min_mod_revision = flags.Integer("min-mod-rev");
  request.max_mod_revision = flags.Integer("max-mod-rev");
  request.min_create_revision = flags.Integer("min-create-rev");
  request.max_create_revision = flags.Integer("max-create-rev");
  return request;
}

Expected<DeleteRequest> ReadDelete(const FlagValues& flags, const std::vector<std::string>& words) {
  if (words.empty() || words.size() > 2) {
    return BadArguments(
        "del command needs one argument as key and an optional argument as range_end", kDeleteForm);
  }
  const Expected<KeyRange> range = ReadRange(flags, words);
  if (!range.ok()) return range.failure();
  return DeleteRequest{.range = *range, .prev_kv = flags.Switch("prev-kv")};
}

}  // namespace gavel::client::ctl
