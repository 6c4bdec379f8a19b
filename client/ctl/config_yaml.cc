// YAML as events, read by yaml-cpp.
#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "client/ctl/config_events.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

// Where yaml-cpp is in a text: it counts bytes, and people count characters. A long line is counted
// once, if what is asked for comes from its beginning to its end.
class Lines {
 public:
  explicit Lines(std::string_view text) : lines_(Split(text, '\n')) {}

  Place PlaceOf(const YAML::Mark& mark) const {
    const size_t number = static_cast<size_t>(std::max(mark.line, 0));
    const size_t bytes = static_cast<size_t>(std::max(mark.column, 0));
    if (number >= lines_.size()) return {number + 1, bytes + 1};
    if (number != counted_line_ || bytes < counted_bytes_) {
      counted_line_ = number;
      counted_bytes_ = 0;
      counted_ = 0;
    }
    const std::string_view line = lines_[number];
    const size_t end = std::min(bytes, line.size());
    counted_ += CountCharacters(line.substr(counted_bytes_, end - counted_bytes_));
    counted_bytes_ = end;
    return {number + 1, counted_ + 1};
  }

  // Requires: `number` counts from 1. Empty beyond the end.
  std::string_view At(size_t number) const {
    return number <= lines_.size() ? std::string_view(lines_[number - 1]) : std::string_view();
  }

 private:
  const std::vector<std::string> lines_;
  mutable size_t counted_line_ = 0;
  mutable size_t counted_bytes_ = 0;
  mutable size_t counted_ = 0;  // Characters in that many bytes of that line.
};

// Once it has an error it ignores what follows.
class Handler : public YAML::EventHandler {
 public:
  Handler(const Lines* lines, ConfigBuilder* builder) : lines_(*lines), builder_(*builder) {}

  const MaybePlacedError& error() const { return error_; }
  bool empty() const { return empty_; }
  Place start() const { return start_; }

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = PlaceOf(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    // What is not written is found missing at what comes next, lines below the name it belongs to.
    const Place place = PlaceOf(mark);
    const bool missing = last_scalar_ && place.line > last_scalar_->line && !WrittenAt(mark);
    Keep([&] { return builder_.OnOther(missing ? *last_scalar_ : place, "nothing", ""); });
    last_scalar_.reset();
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Keep([&] { return PlacedError{PlaceOf(mark), "aliases are not supported; write it out"}; });
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    last_scalar_ = PlaceOf(mark);
    Keep([&]() -> MaybePlacedError {
      if (MaybePlacedError error = Refuse(mark, tag, anchor)) return error;
      const bool plain = tag == "?" || tag.empty();
      const std::string_view other = plain ? OtherThanText(value) : std::string_view();
      if (!other.empty()) return builder_.OnOther(PlaceOf(mark), other, value);
      return builder_.OnText(PlaceOf(mark), value);
    });
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Keep([&]() -> MaybePlacedError {
      last_scalar_.reset();
      if (MaybePlacedError error = Refuse(mark, tag, anchor)) return error;
      return builder_.OnListBegin(PlaceOf(mark));
    });
  }
  void OnSequenceEnd() override {
    Keep([&] { return builder_.OnEnd(); });
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Keep([&]() -> MaybePlacedError {
      last_scalar_.reset();
      if (MaybePlacedError error = Refuse(mark, tag, anchor)) return error;
      return builder_.OnMapBegin(PlaceOf(mark));
    });
  }
  void OnMapEnd() override {
    Keep([&] { return builder_.OnEnd(); });
  }

 private:
  Place PlaceOf(const YAML::Mark& mark) const { return lines_.PlaceOf(mark); }

  // Whether nothing is written there in so many words, or stands for a name before its colon.
  bool WrittenAt(const YAML::Mark& mark) const {
    const std::string_view line = lines_.At(static_cast<size_t>(std::max(mark.line, 0)) + 1);
    const size_t column = static_cast<size_t>(std::max(mark.column, 0));
    if (column >= line.size()) return false;
    const std::string_view rest = line.substr(column);
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t\r,}]:"));
    return rest[0] == ':' || OtherThanText(std::string(word)) == "nothing";
  }

  MaybePlacedError Refuse(const YAML::Mark& mark, const std::string& tag,
                          YAML::anchor_t anchor) const {
    if (anchor != 0) return PlacedError{PlaceOf(mark), "anchors are not supported"};
    // "?" is what yaml-cpp calls plain, "!" what stands in quotes.
    if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str") {
      return std::nullopt;
    }
    return PlacedError{PlaceOf(mark), "the tag " + Quote(tag) + " is not supported"};
  }

  void Keep(const auto& event) {
    empty_ = false;
    if (!error_) error_ = event();
  }

  const Lines& lines_;
  ConfigBuilder& builder_;
  std::optional<Place> last_scalar_;
  MaybePlacedError error_;
  bool empty_ = true;
  Place start_;
};

// Where a tab is used to indent, which YAML forbids and parsers take in different ways. Within a
// block of text a line begins with spaces, so what stands behind those is its own.
MaybePlacedError FindTab(std::string_view text) {
  size_t number = 0;
  for (const std::string& line : Split(text, '\n')) {
    ++number;
    if (!line.empty() && line[0] == '\t' && !Trim(line).empty()) {
      return PlacedError{{number, 1}, "a tab cannot indent; use spaces"};
    }
  }
  return std::nullopt;
}

// yaml-cpp takes a quoted text that the end of the file cuts off after a line feed for a whole one,
// unless the end of the document is written down.
const char* EndMark(std::string_view text) {
  return !text.empty() && text.back() == '\n' ? "...\n" : "";
}

std::string Explain(const YAML::Exception& error, const Lines& lines) {
  if (error.msg == YAML::ErrorMsg::DOC_IN_SCALAR || error.msg == YAML::ErrorMsg::EOF_IN_SCALAR) {
    return "the file ends within a quoted text";
  }
  const std::string_view line = lines.At(lines.PlaceOf(error.mark).line);
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
    return "a tab cannot indent; use spaces";
  }
  return error.msg;
}

}  // namespace

std::string_view OtherThanText(const std::string& word) {
  const std::string lower = [&] {
    std::string text = word;
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
  }();
  if (lower.empty() || lower == "~" || lower == "null") return "nothing";
  for (const char* truth : {"true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (lower == truth) return "a truth value";
  }
  std::string_view digits = lower;
  if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
  if (digits == ".inf" || digits == ".nan") return "a number";
  const bool begins =
      !digits.empty() &&
      ((digits[0] >= '0' && digits[0] <= '9') ||
       (digits[0] == '.' && digits.size() > 1 && digits[1] >= '0' && digits[1] <= '9'));
  const bool hex = digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0o";
  const std::string_view accepted = hex ? "0123456789abcdefox_" : "0123456789.e+-_:";
  if (begins && digits.find_first_not_of(accepted) == std::string_view::npos) return "a number";
  return {};
}

MaybePlacedError ReadYaml(std::string_view text, ConfigBuilder* builder) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (MaybePlacedError error = FindTab(text)) return error;
  const Lines lines(text);
  Handler handler(&lines, builder);
  // yaml-cpp speaks by exceptions; none leaves this function.
  try {
    std::istringstream stream(std::string(text) + EndMark(text));
    YAML::Parser parser(stream);
    parser.HandleNextDocument(handler);
    if (handler.error()) return handler.error();
    if (handler.empty()) return PlacedError{{1, 1}, "the file is empty"};
    Handler second(&lines, builder);
    if (parser.HandleNextDocument(second)) {
      return PlacedError{second.start(), "the file holds more than one document"};
    }
  } catch (const YAML::Exception& error) {
    // A file that is nested deeper than yaml-cpp follows, and is told to be bad, was wrong before.
    if (error.msg == YAML::ErrorMsg::BAD_FILE && handler.error()) return handler.error();
    return PlacedError{lines.PlaceOf(error.mark), Explain(error, lines)};
  }
  return std::nullopt;
}

}  // namespace gavel::client::ctl
