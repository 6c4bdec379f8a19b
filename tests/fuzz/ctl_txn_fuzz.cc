// Transactions as gavelctl reads them from a file, a terminal's lines, and the lines of a watch:
// what is refused is refused with a place, and what is understood can be written down and
// understood again.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/ctl/text.h"
#include "client/ctl/txn_text.h"
#include "client/ctl/watch_request.h"
#include "raft/check.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using client::ctl::AtLine;
using client::ctl::CountCharacters;
using client::ctl::ExitCode;
using client::ctl::Expected;
using client::ctl::Hex;
using client::ctl::Line;
using client::ctl::LineError;
using client::ctl::ParseCompare;
using client::ctl::ParseRequest;
using client::ctl::ParseTxn;
using client::ctl::Quote;
using client::ctl::ReadWatchLine;
using client::ctl::ReadWords;
using client::ctl::Trim;
using client::ctl::TxnReader;
using client::ctl::WatchRequest;

enum Kind { kText, kLine, kWatch, kKinds };

constexpr std::string_view kTargets[] = {"version", "create", "mod", "value", "lease"};
constexpr std::string_view kResults[] = {"=", ">", "<", "!="};

void CheckError(const LineError& error, std::string_view line) {
  GAVEL_CHECK(!error.message.empty()) << "an error without a word";
  GAVEL_CHECK(error.column >= 1 && error.column <= CountCharacters(line) + 1) << error.column;
}

std::string WriteDown(const client::Compare& compare) {
  const auto target = static_cast<size_t>(compare.target);
  std::string text = std::string(kTargets[target]) + "(" + Quote(compare.range.key) + ") " +
                     std::string(kResults[static_cast<size_t>(compare.result)]) + " ";
  if (compare.target == client::CompareTarget::kValue) return text + Quote(compare.value);
  if (compare.target != client::CompareTarget::kLease) {
    return text + Quote(std::to_string(compare.number));
  }
  const bool below = compare.number < 0;
  const auto magnitude = static_cast<uint64_t>(compare.number);
  return text + Quote((below ? "-" : "") + Hex(below ? ~magnitude + 1 : magnitude));
}

void OneCompare(std::string_view line) {
  const Line<client::Compare> read = ParseCompare(line);
  if (const auto* error = std::get_if<LineError>(&read)) return CheckError(*error, line);
  const auto& compare = std::get<client::Compare>(read);
  const std::string written = WriteDown(compare);
  const Line<client::Compare> again = ParseCompare(written);
  const auto* same = std::get_if<client::Compare>(&again);
  GAVEL_CHECK(same != nullptr) << written;
  GAVEL_CHECK(same->target == compare.target && same->result == compare.result &&
              same->range.key == compare.range.key && same->number == compare.number &&
              same->value == compare.value)
      << written;
}

void OneRequest(std::string_view line) {
  const Line<client::Op> read = ParseRequest(line);
  if (const auto* error = std::get_if<LineError>(&read)) CheckError(*error, line);
  const Line<std::vector<std::string>> words = ReadWords(line);
  if (const auto* error = std::get_if<LineError>(&words)) {
    CheckError(*error, line);
    GAVEL_CHECK(std::holds_alternative<LineError>(read)) << "a request of words that are none";
    return;
  }
  const auto& list = std::get<std::vector<std::string>>(words);
  std::string quoted;
  for (const std::string& word : list) quoted += Quote(word) + " ";
  const Line<std::vector<std::string>> same = ReadWords(quoted);
  GAVEL_CHECK(std::holds_alternative<std::vector<std::string>>(same) &&
              std::get<std::vector<std::string>>(same) == list)
      << quoted;
  const Line<client::Op> again = ParseRequest(quoted);
  GAVEL_CHECK(again.index() == read.index()) << quoted;
}

// A whole text fails where its lines, one by one, do.
void OneText(std::string_view text) {
  const Expected<client::Txn> whole = ParseTxn(text, "FILE");
  if (!whole.ok()) {
    const std::string& message = whole.failure().message;
    GAVEL_CHECK(message.substr(0, 11) == "FILE: line ") << message;
    GAVEL_CHECK(whole.failure().code == ExitCode::kInvalidInput);
  }
  TxnReader reader;
  while (reader.section() != TxnReader::Section::kDone) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      GAVEL_CHECK(!whole.ok()) << "a text that is cut off was taken";
      return;
    }
    const std::string_view line = text.substr(0, end);
    if (const std::optional<LineError> error = reader.Take(line)) {
      CheckError(*error, line);
      GAVEL_CHECK(!whole.ok() &&
                  whole.failure().message == AtLine("FILE", reader.line_number(), *error).message)
          << whole.failure().message;
      return;
    }
    text.remove_prefix(end + 1);
  }
  GAVEL_CHECK(whole.ok() == Trim(text).empty());
  if (!whole.ok()) return;
  GAVEL_CHECK(whole->compares.size() == reader.txn().compares.size());
  GAVEL_CHECK(whole->success.size() == reader.txn().success.size());
  GAVEL_CHECK(whole->failure.size() == reader.txn().failure.size());
}

void OneWatchLine(std::string_view line) {
  Line<std::vector<std::string>> words = ReadWords(line);
  auto* list = std::get_if<std::vector<std::string>>(&words);
  if (list == nullptr || list->empty()) return;
  const Expected<WatchRequest> read = ReadWatchLine(std::move(*list), {});
  if (!read.ok()) GAVEL_CHECK(!read.failure().message.empty()) << "an error without a word";
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  const std::string_view line = text.substr(0, text.find('\n'));
  switch (static_cast<uint8_t>(input[0]) % kKinds) {
    case kText:
      return OneText(text);
    case kLine:
      if (Trim(line).empty()) return;
      OneCompare(line);
      return OneRequest(line);
    default:
      return OneWatchLine(line);
  }
}

std::vector<std::string> Seeds() {
  const auto seed = [](Kind kind, const std::string& text) {
    return std::string(1, static_cast<char>(kind)) + text;
  };
  return {
      seed(kText, "\n\n\n"),
      seed(kText,
           "mod(\"key\") = \"7\"\nver(\"a b\") > \"0\"\nlease(`x`) != \"7fffffff\"\n\nput key "
           "\"new value\" --lease=1a\nget a z --limit 5\n\ndel key --prefix --prev-kv\n\n"),
      seed(kText, "val(\"k\\x00\\u00e9\\n\") < \"\"\n\nput 'it is' \"\\\"\"\n\n\n"),
      seed(kText, "create(\"k\") = \"0\"\n\nput k v\n"),
      seed(kText, "\nget --from-key k --order=DESCEND --sort-by=VALUE -w json\n\n\nmore"),
      seed(kLine, "value(\"k\") = \"v\""),
      seed(kLine, "c ( \"k\") ~ \"v\" x"),
      seed(kLine, "m(\"k\")=\"-9223372036854775808\""),
      seed(kLine, "lease(\"k\") = \"-8000000000000000\""),
      seed(kLine, "put -- -k -v --ignore-lease"),
      seed(kLine, "get \"a\\101\" \"cut off"),
      seed(kLine, "p k v"),
      seed(kWatch, "watch k --rev=5 --prev-kv --prefix"),
      seed(kWatch, "watch a z --progress-notify -- echo 'x y' \"z\""),
      seed(kWatch, "watch --filter=put"),
  };
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
