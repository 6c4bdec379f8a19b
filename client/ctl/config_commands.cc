// config export, diff, apply, history and revert.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/commands.h"
#include "client/ctl/config_changes.h"
#include "client/ctl/config_document.h"
#include "client/ctl/config_history.h"
#include "client/ctl/input.h"
#include "client/ctl/session.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// All of a range at one revision; 0: the newest.
Expected<ConfigState> ReadState(const Client& client, const KeyRange& range, int64_t revision) {
  ConfigState state{.range = range, .revision = 0, .keys = {}};
  RangePager pages = client.kv().Pages(RangeRequest{.range = range, .revision = revision});
  while (!pages.done()) {
    Result<std::vector<KeyValue>> page = pages.Next();
    if (!page.ok()) return FromStatus(page.status());
    for (KeyValue& kv : *page) state.keys.emplace(kv.key, std::move(kv));
  }
  state.revision = pages.revision();
  return state;
}

std::map<std::string, std::string> ValuesOf(const ConfigState& state) {
  std::map<std::string, std::string> values;
  for (const auto& [key, kv] : state.keys) values.emplace(key, kv.value);
  return values;
}

Expected<ConfigFormat> WantedFormat(const std::string& name, const std::string& path) {
  if (name == "yaml") return ConfigFormat::kYaml;
  if (name == "json") return ConfigFormat::kJson;
  if (name.empty()) return FormatOfFile(path);
  return Failure{ExitCode::kBadFeature, "unknown format " + Quote(name), "It is yaml or json."};
}

Expected<ConfigDocument> ReadDocument(Session& session) {
  if (session.arguments().size() != 1) {
    return BadArguments("this command needs 1 file", "'-' is standard input.");
  }
  const std::string& path = session.arguments()[0];
  const bool from_input = path == "-";
  const Expected<ConfigFormat> format = WantedFormat(session.flags().Text("format"), path);
  if (!format.ok()) return format.failure();
  const size_t bytes_max = session.settings().input_bytes_max;
  const Expected<std::string> text =
      from_input ? ReadStandardInput(bytes_max) : ReadFile(path, bytes_max);
  if (!text.ok()) return text.failure();
  return ParseConfig(*text, *format, from_input ? "standard input" : path);
}

std::string Counted(size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string TooManyHint(const std::vector<Change>& changes) {
  return Counted(changes.size(), "change") +
         " are too many for one transaction: split the file by prefixes, or start the servers with "
         "a larger --max-txn-ops.";
}

Failure Refused(const ConfigState& state, const TxnResponse& response) {
  Failure failure{ExitCode::kError, "others have changed the keys meanwhile; nothing was done",
                  "Look at the difference again, and repeat the command."};
  if (!response.responses.empty() && response.responses.front().range() != nullptr) {
    for (const std::string& line : DescribeOthers(state, *response.responses.front().range())) {
      failure.message += "\n  " + line;
    }
  }
  return failure;
}

// Shows the changes and, unless it is a dry run, makes them.
// `keep_others` is what the changes were found with.
MaybeFailure MakeChanges(Session& session, const Client& client, const ConfigState& state,
                         const std::vector<Change>& changes, bool keep_others) {
  Output& output = session.output();
  ShowChanges(changes, &output);
  if (changes.empty()) {
    output.Line("nothing to change");
    return std::nullopt;
  }
  if (session.flags().Switch("dry-run")) {
    output.Line(Counted(changes.size(), "change") + ", not made: this is a dry run");
    // One more counts the keys. The servers may have another limit than the default.
    if (changes.size() >= kTxnOperations) output.Complain("Warning: " + TooManyHint(changes));
    return std::nullopt;
  }
  Result<TxnResponse> committed = client.kv().Commit(GuardedTxn(state, changes));
  const bool too_many = committed.status().reason() == Reason::kTooManyOperations;
  const Expected<TxnResponse> response = session.Take(std::move(committed), Effect::kWrites);
  if (!response.ok()) {
    Failure failure = response.failure();
    if (too_many) failure.hint = TooManyHint(changes);
    return failure;
  }
  if (!response->succeeded) return Refused(state, *response);
  output.Line(Counted(changes.size(), "change") + " made at revision " +
              std::to_string(response->header.revision));
  const OpResponse& count = response->responses.back();
  if (count.range() != nullptr && count.range()->count != KeysAfter(state, changes)) {
    return Failure{ExitCode::kError,
                   "the changes are made, but others have deleted keys meanwhile that were not "
                   "to change",
                   keep_others ? "Run the command again to put back those that the file has; what "
                                 "it does not have stays deleted."
                               : "Run the command again to put them back."};
  }
  return std::nullopt;
}

// How far a walk back came.
Failure NoTimeToLookBack(const KeyHistory& history, std::chrono::nanoseconds time) {
  const std::string revision = std::to_string(*history.unread_revision);
  return {ExitCode::kError,
          "there was only time to look back to revision " + revision + " within " +
              FormatDuration(std::chrono::duration_cast<std::chrono::microseconds>(time)),
          "Go on from there with --rev=" + revision +
              ", give it more time with --command-timeout, or ask for fewer entries with --limit."};
}

}  // namespace

MaybeFailure RunConfigExport(Session& session) {
  if (session.arguments().size() != 1) return BadArguments("config export needs 1 prefix");
  const std::string& prefix = session.arguments()[0];
  const std::string& path = session.flags().Text("file");
  const std::string& named = session.flags().Text("format");
  const bool json = session.settings().format == Format::kJson;
  if (json && named == "yaml") {
    return BadArguments(
        "--format=yaml and --write-out=json cannot be set at the same time, choose one");
  }
  const Expected<ConfigFormat> format = WantedFormat(json ? "json" : named, path);
  if (!format.ok()) return format.failure();
  if (!IsUtf8(prefix)) return BadArguments("the prefix is no UTF-8, which a file could not say");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<ConfigState> state =
      ReadState(**client, KeyRange::Prefix(prefix), session.flags().Integer("rev"));
  if (!state.ok()) return state.failure();
  const std::string text = FormatConfig(
      {.prefix = prefix, .revision = state->revision, .keys = ValuesOf(*state)}, *format);
  if (!path.empty()) return WriteFile(path, text);
  session.output().Write(session.output().Shown(text, /*multi_line=*/true));
  return std::nullopt;
}

MaybeFailure RunConfigDiff(Session& session) {
  const Expected<ConfigDocument> wanted = ReadDocument(session);
  if (!wanted.ok()) return wanted.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<ConfigState> state =
      ReadState(**client, KeyRange::Prefix(wanted->prefix), session.flags().Integer("rev"));
  if (!state.ok()) return state.failure();
  const std::vector<Change> changes =
      FindChanges(*state, wanted->keys, session.flags().Switch("keep-others"));
  ShowChanges(changes, &session.output());
  if (!changes.empty()) return Failure{ExitCode::kNo, {}, {}};
  return std::nullopt;
}

MaybeFailure RunConfigApply(Session& session) {
  const Expected<ConfigDocument> wanted = ReadDocument(session);
  if (!wanted.ok()) return wanted.failure();
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<ConfigState> state = ReadState(**client, KeyRange::Prefix(wanted->prefix), 0);
  if (!state.ok()) return state.failure();
  const bool keep_others = session.flags().Switch("keep-others");
  return MakeChanges(session, **client, *state, FindChanges(*state, wanted->keys, keep_others),
                     keep_others);
}

MaybeFailure RunConfigHistory(Session& session) {
  if (session.arguments().size() != 1) return BadArguments("config history needs 1 key");
  HistoryWanted wanted{.key = session.arguments()[0],
                       .limit = session.flags().Integer("limit"),
                       .revision = session.flags().Integer("rev"),
                       .time = session.settings().client.timeout};
  if (wanted.limit < 0) return BadArguments("the limit must not be below 0");
  if (wanted.revision < 0) return BadArguments("--rev must not be below 0");
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<KeyHistory> history = ReadHistory((*client)->kv(), wanted);
  if (!history.ok()) return history.failure();
  session.printer().History(*history);
  if (history->unread_revision) return NoTimeToLookBack(*history, wanted.time);
  if (history->entries.empty()) {
    session.output().Complain(Quote(wanted.key) +
                              " was not there at any revision that can be read, which are " +
                              std::to_string(history->oldest_revision) + " to " +
                              std::to_string(history->newest_revision));
  }
  if (session.settings().format == Format::kSimple && history->oldest_revision > 1) {
    session.output().Line("revisions below " + std::to_string(history->oldest_revision) +
                          " are compacted");
  }
  return std::nullopt;
}

MaybeFailure RunConfigRevert(Session& session) {
  if (session.arguments().size() != 1) return BadArguments("config revert needs 1 prefix");
  const int64_t revision = session.flags().Integer("rev");
  if (revision <= 0) {
    return BadArguments("config revert needs --rev, the revision to go back to",
                        "'gavelctl config history <key>' lists revisions.");
  }
  const std::string& name = session.arguments()[0];
  const KeyRange range = session.flags().Switch("single") ? KeyRange(name) : KeyRange::Prefix(name);
  const Expected<const Client*> client = session.client();
  if (!client.ok()) return client.failure();
  const Expected<ConfigState> now = ReadState(**client, range, 0);
  if (!now.ok()) return now.failure();
  const Expected<ConfigState> past = ReadState(**client, range, revision);
  if (!past.ok()) {
    Failure failure = past.failure();
    const Result<int64_t> oldest = OldestRevision((*client)->kv(), now->revision);
    if (oldest.ok() && revision < *oldest) {
      failure.message = "revision " + std::to_string(revision) + " is compacted";
      failure.hint = "The oldest that can be read is " + std::to_string(*oldest) + ".";
    }
    return failure;
  }
  return MakeChanges(session, **client, *now,
                     FindChanges(*now, ValuesOf(*past), /*keep_others=*/false),
                     /*keep_others=*/false);
}

}  // namespace gavel::client::ctl
