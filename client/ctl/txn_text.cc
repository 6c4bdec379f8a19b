#include "client/ctl/txn_text.h"

#include <utility>

#include "client/ctl/kv_requests.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr char kListsForm[] =
    "Each of the three lists is ended by an empty line, also the last; 'gavelctl txn --help' has "
    "an "
    "example.";
constexpr char kCompareForm[] =
    "A compare is such as mod(\"key\") = \"0\": ver, create, mod, val or lease of a key, then one "
    "of = != < >, then a value. Key and value stand in double quotes.";
constexpr char kRequestForm[] =
    "A request is put <key> <value>, get <key> [range_end] or del <key> [range_end], with the "
    "flags "
    "of the command of that name.";
constexpr char kQuoteForm[] =
    "Within double quotes, \\\" is a quote and \\\\ a backslash; within single quotes and "
    "backquotes everything stands for itself.";

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

// Reads a line from left to right.
class LineScanner {
 public:
  explicit LineScanner(std::string_view line) : line_(line) {}

  void SkipSpace() {
    while (!done() && IsSpace(line_[at_])) ++at_;
  }
  bool done() const { return at_ == line_.size(); }
  char next() const { return line_[at_]; }
  size_t at() const { return at_; }
  bool Take(char wanted) {
    if (done() || next() != wanted) return false;
    ++at_;
    return true;
  }
  std::string_view TakeWhile(const auto& accepts) {
    const size_t begin = at_;
    while (!done() && accepts(next())) ++at_;
    return line_.substr(begin, at_ - begin);
  }
  std::optional<std::string> TakeQuoted() { return Unquote(line_, &at_); }

  bool AtQuote() const { return !done() && (next() == '"' || next() == '`'); }
  // Requires: AtQuote(), and TakeQuoted() has given nothing.
  LineError QuoteErrorHere() const {
    QuoteError error = ExplainQuote(line_, at_);
    return ErrorAt(error.at, std::move(error.message), kQuoteForm);
  }

  LineError Error(std::string message, std::string hint) const {
    return ErrorAt(at_, std::move(message), std::move(hint));
  }
  LineError ErrorAt(size_t at, std::string message, std::string hint) const {
    return {CountCharacters(line_.substr(0, at)) + 1, std::move(message), std::move(hint)};
  }

 private:
  const std::string_view line_;
  size_t at_ = 0;
};

struct Target {
  CompareTarget target;
  int base;  // Of its number; 0 for text.
};

std::optional<Target> FindTarget(std::string_view word) {
  if (word == "ver" || word == "version") return Target{CompareTarget::kVersion, 10};
  if (word == "c" || word == "create") return Target{CompareTarget::kCreate, 10};
  if (word == "m" || word == "mod") return Target{CompareTarget::kMod, 10};
  if (word == "val" || word == "value") return Target{CompareTarget::kValue, 0};
  if (word == "lease") return Target{CompareTarget::kLease, 16};
  return std::nullopt;
}

std::optional<CompareResult> FindResult(std::string_view word) {
  if (word == "=") return CompareResult::kEqual;
  if (word == "!=") return CompareResult::kNotEqual;
  if (word == ">") return CompareResult::kGreater;
  if (word == "<") return CompareResult::kLess;
  return std::nullopt;
}

struct Word {
  std::string text;
  size_t at = 0;  // In bytes.
};

Line<std::vector<Word>> SplitWords(std::string_view line) {
  LineScanner scanner(line);
  std::vector<Word> words;
  for (scanner.SkipSpace(); !scanner.done(); scanner.SkipSpace()) {
    const size_t begin = scanner.at();
    if (scanner.next() == '"') {
      std::optional<std::string> text = scanner.TakeQuoted();
      if (!text) return scanner.QuoteErrorHere();
      words.push_back({*std::move(text), begin});
    } else if (scanner.Take('\'')) {
      const std::string_view text = scanner.TakeWhile([](char c) { return c != '\''; });
      if (!scanner.Take('\'')) {
        return scanner.ErrorAt(begin,
                               "this quoted text does not end: a closing ' is missing before the "
                               "end of the line",
                               kQuoteForm);
      }
      words.push_back({std::string(text), begin});
    } else {
      words.push_back({std::string(scanner.TakeWhile([](char c) { return !IsSpace(c); })), begin});
    }
  }
  return words;
}

enum class RequestKind { kPut, kGet, kDelete };

// Shortened names are taken, as etcdctl does.
std::optional<RequestKind> FindRequest(std::string_view word) {
  const auto begins = [&](std::string_view name) {
    return !word.empty() && name.substr(0, word.size()) == word;
  };
  if (begins("put")) return RequestKind::kPut;
  if (begins("get")) return RequestKind::kGet;
  if (begins("del")) return RequestKind::kDelete;
  return std::nullopt;
}

const std::vector<FlagSpec>& FlagsOf(RequestKind kind) {
  if (kind == RequestKind::kPut) return PutFlags();
  return kind == RequestKind::kGet ? GetFlags() : DeleteFlags();
}

Expected<Op> ReadOp(RequestKind kind, const FlagValues& flags,
                    const std::vector<std::string>& words) {
  if (kind == RequestKind::kPut) {
    const Expected<PutRequest> put = ReadPut(flags, words, nullptr);
    if (!put.ok()) return put.failure();
    return Op(*put);
  }
  if (kind == RequestKind::kGet) {
    const Expected<RangeRequest> get = ReadGet(flags, words);
    if (!get.ok()) return get.failure();
    return Op(*get);
  }
  const Expected<DeleteRequest> del = ReadDelete(flags, words);
  if (!del.ok()) return del.failure();
  return Op(*del);
}

}  // namespace

Line<std::vector<std::string>> ReadWords(std::string_view line) {
  Line<std::vector<Word>> split = SplitWords(line);
  if (const LineError* const error = std::get_if<LineError>(&split)) return *error;
  std::vector<std::string> words;
  for (Word& word : *std::get_if<std::vector<Word>>(&split)) words.push_back(std::move(word.text));
  return words;
}

Line<Compare> ParseCompare(std::string_view line) {
  LineScanner scanner(line);
  scanner.SkipSpace();
  const size_t target_at = scanner.at();
  const std::string_view name = scanner.TakeWhile([](char c) { return c != '(' && !IsSpace(c); });
  const std::optional<Target> target = FindTarget(name);
  if (!target) {
    return scanner.ErrorAt(target_at,
                           "unknown target " + Quote(name) +
                               "; a compare is ver, create, mod, value or lease of a "
                               "key, such as mod(\"key\") = \"0\"",
                           kCompareForm);
  }
  if (!scanner.Take('('))
    return scanner.Error("expected ( after " + std::string(name), kCompareForm);
  scanner.SkipSpace();
  std::optional<std::string> key = scanner.TakeQuoted();
  if (!key && scanner.AtQuote()) return scanner.QuoteErrorHere();
  if (!key) return scanner.Error("expected the key in double quotes", kCompareForm);
  if (!scanner.Take(')')) {
    return scanner.Error("expected ) after the key " + Quote(*key) + "; or is a quote missing?",
                         kCompareForm);
  }
  scanner.SkipSpace();
  const size_t result_at = scanner.at();
  const std::string_view sign =
      scanner.TakeWhile([](char c) { return !IsSpace(c) && c != '"' && c != '`'; });
  const std::optional<CompareResult> result = FindResult(sign);
  if (!result) {
    return scanner.ErrorAt(result_at, "unknown comparison " + Quote(sign) + "; it is =, !=, < or >",
                           kCompareForm);
  }
  scanner.SkipSpace();
  const size_t value_at = scanner.at();
  std::optional<std::string> value = scanner.TakeQuoted();
  if (!value && scanner.AtQuote()) return scanner.QuoteErrorHere();
  if (!value) {
    return scanner.Error("expected a value in double quotes; numbers are quoted too", kCompareForm);
  }
  scanner.SkipSpace();
  if (!scanner.done())
    return scanner.Error("unexpected text after the compare",
                         "Each compare has a line of its own.");
  Compare compare{.target = target->target, .result = *result, .range = KeyRange(*std::move(key))};
  if (target->base == 0) {
    compare.value = *std::move(value);
    return compare;
  }
  const std::optional<int64_t> number = ParseInteger(*value, target->base);
  if (!number) {
    return scanner.ErrorAt(
        value_at,
        Quote(*value) + (target->base == 16 ? " is no hexadecimal number of 64 bits"
                                            : " is no number of 64 bits"),
        target->base == 16 ? "'gavelctl lease list' shows the ids; \"0\" is no lease."
                           : "Versions and revisions are whole numbers, as 'gavelctl get <key> -w "
                             "fields' shows them; val compares text.");
  }
  compare.number = *number;
  return compare;
}

Line<Op> ParseRequest(std::string_view line) {
  const LineScanner scanner(line);
  Line<std::vector<Word>> split = SplitWords(line);
  if (const LineError* const error = std::get_if<LineError>(&split)) return *error;
  const std::vector<Word>& words = *std::get_if<std::vector<Word>>(&split);
  const std::optional<RequestKind> kind =
      words.empty() ? std::nullopt : FindRequest(words.front().text);
  if (!kind) {
    return scanner.ErrorAt(words.empty() ? 0 : words.front().at,
                           "unknown request " + Quote(words.empty() ? "" : words.front().text) +
                               "; it is put, get or del",
                           kRequestForm);
  }
  std::vector<std::string> tokens;
  for (size_t i = 1; i < words.size(); ++i) tokens.push_back(words[i].text);
  FlagReader reader(std::move(tokens));
  FlagValues flags;
  flags.AddDefaults(FlagsOf(*kind));
  std::vector<std::string> arguments;
  while (!reader.done()) {
    if (!reader.AtFlag()) {
      arguments.push_back(reader.TakeWord());
      continue;
    }
    const size_t at = words[reader.position() + 1].at;
    bool help = false;
    const MaybeFailure failure = reader.ReadFlag({&FlagsOf(*kind)}, &flags, &help);
    if (failure) return scanner.ErrorAt(at, failure->message, failure->hint);
    if (help) {
      return scanner.ErrorAt(at, "--help has no place in a transaction", kRequestForm);
    }
  }
  Expected<Op> op = ReadOp(*kind, flags, arguments);
  if (!op.ok()) return scanner.ErrorAt(words.front().at, op.failure().message, op.failure().hint);
  return *std::move(op);
}

std::optional<LineError> TxnReader::Take(std::string_view line) {
  ++line_number_;
  if (Trim(line).empty()) {
    section_ = static_cast<Section>(static_cast<int>(section_) + 1);
    return std::nullopt;
  }
  if (section_ == Section::kCompares) {
    Line<Compare> compare = ParseCompare(line);
    if (const LineError* const error = std::get_if<LineError>(&compare)) return *error;
    txn_.If(std::move(*std::get_if<Compare>(&compare)));
    return std::nullopt;
  }
  Line<Op> op = ParseRequest(line);
  if (const LineError* const error = std::get_if<LineError>(&op)) return *error;
  if (section_ == Section::kSuccess) {
    txn_.Then(std::move(*std::get_if<Op>(&op)));
  } else {
    txn_.Else(std::move(*std::get_if<Op>(&op)));
  }
  return std::nullopt;
}

std::string_view Describe(TxnReader::Section section) {
  switch (section) {
    case TxnReader::Section::kCompares:
      return "compares";
    case TxnReader::Section::kSuccess:
      return "success requests (get, put, del)";
    case TxnReader::Section::kFailure:
      return "failure requests (get, put, del)";
    case TxnReader::Section::kDone:
      break;
  }
  return {};
}

Failure AtLine(std::string_view name, size_t line, const LineError& error) {
  return {ExitCode::kInvalidInput,
          std::string(name) + ": line " + std::to_string(line) + ", column " +
              std::to_string(error.column) + ": " + error.message,
          error.hint.empty() ? kListsForm : error.hint};
}

Expected<Txn> ParseTxn(std::string_view text, std::string_view name) {
  TxnReader reader;
  while (reader.section() != TxnReader::Section::kDone) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      // A text that was cut off must not be taken for a shorter one.
      return AtLine(name, reader.line_number() + 1,
                    {CountCharacters(text) + 1,
                     "the text ends within the " + std::string(Describe(reader.section()))});
    }
    if (const std::optional<LineError> error = reader.Take(text.substr(0, end))) {
      return AtLine(name, reader.line_number(), *error);
    }
    text.remove_prefix(end + 1);
  }
  if (!Trim(text).empty()) {
    return AtLine(name, reader.line_number() + 1,
                  {1, "unexpected text after the failure requests"});
  }
  return reader.txn();
}

}  // namespace gavel::client::ctl
