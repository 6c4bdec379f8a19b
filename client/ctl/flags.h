// Flags as data, and how they are read from a command line.
//
// The rules are those of etcdctl's: flags stand anywhere, "--name=value" or "--name value",
// "-w json", "-w=json" or "-wjson"; a switch takes a value only with "="; "--" ends the flags.
// "-5" is a number, not a flag; a list may be given in parts. One table feeds the reader, --help,
// completion and the manual.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/failure.h"

namespace gavel::client::ctl {

enum class FlagType : uint8_t { kSwitch, kText, kInteger, kDuration, kList };

struct FlagSpec {
  std::string_view name;
  FlagType type = FlagType::kText;
  std::string_view default_text = {};
  std::string_view help = {};
  std::string_view value_name = {};  // For --help: "KEY". Derived from the type if empty.
  char letter = 0;
  std::vector<std::string_view> choices = {};  // For completion; not enforced.
  bool is_file = false;                        // For completion.
  // Why any value but the default is refused; empty if it is served.
  std::string_view refusal = {};
};

std::string_view ValueName(const FlagSpec& flag);

// Values by name: given ones, and the defaults of the rest. A name that no table has ends the
// process, since it is a slip in our own code.
class FlagValues {
 public:
  void AddDefaults(const std::vector<FlagSpec>& flags);
  // Checks the text against the type. The error names the flag as `shown_as`. A list that is given
  // again grows by what it is given; of anything else the last counts.
  MaybeFailure Set(const FlagSpec& flag, std::string_view text, std::string_view shown_as);

  bool Switch(std::string_view name) const { return Find(name).number != 0; }
  int64_t Integer(std::string_view name) const { return Find(name).number; }
  std::chrono::nanoseconds Duration(std::string_view name) const {
    return std::chrono::nanoseconds(Find(name).number);
  }
  // Rounded up, so that a time above 0 does not become none.
  std::chrono::milliseconds Milliseconds(std::string_view name) const {
    return std::chrono::ceil<std::chrono::milliseconds>(Duration(name));
  }
  const std::string& Text(std::string_view name) const { return Find(name).text; }
  // Comma-separated, without spaces around and without empty parts.
  std::vector<std::string> List(std::string_view name) const;
  // Set by anything but the default.
  bool given(std::string_view name) const { return Find(name).given; }

 private:
  struct Value {
    std::string text;
    int64_t number = 0;
    bool given = false;
  };
  const Value& Find(std::string_view name) const;

  std::map<std::string, Value, std::less<>> values_;
};

using FlagTables = std::vector<const std::vector<FlagSpec>*>;

// One token at a time: whoever knows what a positional word means drives it.
class FlagReader {
 public:
  explicit FlagReader(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

  // The index among the tokens that comes next.
  size_t position() const { return position_; }
  bool done() const { return position_ == tokens_.size(); }
  // True if the next token is a flag (or the "--" that ends them).
  bool AtFlag() const;
  // Requires: AtFlag(). Reads it, with its value, into `values`. -h and --help set `help`.
  MaybeFailure ReadFlag(const FlagTables& tables, FlagValues* values, bool* help);
  // Requires: !done() && !AtFlag().
  std::string TakeWord() { return std::move(tokens_[position_++]); }
  bool flags_ended() const { return flags_ended_; }

 private:
  MaybeFailure ReadLetters(const FlagTables& tables, FlagValues* values, bool* help);

  std::vector<std::string> tokens_;
  size_t position_ = 0;
  bool flags_ended_ = false;
};

}  // namespace gavel::client::ctl
