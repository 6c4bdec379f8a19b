// The text of a transaction, as etcdctl's txn reads it.
//
//   mod("key") = "7"            compares, all of which must hold, up to an empty line
//
//   put key "new value"         what is done then: put, get and del with their flags
//
//   get key --prefix            what is done otherwise
//
// Compares: ver or version, c or create, m or mod, val or value, lease (in hexadecimal) of a key in
// quotes; one of = != < >; the other side in quotes. Words are bare, in double quotes with Go's
// escapes, or in single quotes as they are.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/ctl/failure.h"
#include "client/txn.h"

namespace gavel::client::ctl {

// What is wrong in a line, and in which character of it, counted from 1.
struct LineError {
  size_t column = 1;
  std::string message = {};
  std::string hint = {};  // What to try, as whole sentences; may be empty.
};

template <class T>
using Line = std::variant<T, LineError>;

// The words of a line, bare or quoted as in a request.
Line<std::vector<std::string>> ReadWords(std::string_view line);

// Requires: `line` is not empty once trimmed; it holds no line feed.
Line<Compare> ParseCompare(std::string_view line);
Line<Op> ParseRequest(std::string_view line);

// The three lists one after the other, each ended by an empty line.
class TxnReader {
 public:
  enum class Section { kCompares, kSuccess, kFailure, kDone };

  Section section() const { return section_; }
  size_t line_number() const { return line_number_; }

  // Takes the next line, without its line feed. An error changes nothing but the line number.
  std::optional<LineError> Take(std::string_view line);

  // Requires: section() is kDone.
  const Txn& txn() const { return txn_; }

 private:
  Section section_ = Section::kCompares;
  size_t line_number_ = 0;
  Txn txn_;
};

std::string_view Describe(TxnReader::Section section);

// A whole text. `name` is said in errors: that of the file.
Expected<Txn> ParseTxn(std::string_view text, std::string_view name);

// "NAME: line 3, column 7: MESSAGE". An error without a hint gets one on the lists.
Failure AtLine(std::string_view name, size_t line, const LineError& error);

}  // namespace gavel::client::ctl
