// JSON as events, read by nlohmann-json.
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "client/ctl/config_events.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

using Json = nlohmann::json;

// The reader does not tell where it is, but how far it has read is seen from outside.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}

  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return !(a == b); }

 private:
  const char* at_;
  const char** furthest_;
};

// Where the bytes of a text stand, asked for from its beginning to its end: each is looked at once,
// whatever the number of questions.
class Places {
 public:
  explicit Places(std::string_view text) : text_(text) {}

  // Requires: `offset` is not within a character, and none of those before was larger.
  Place At(size_t offset) {
    const std::string_view between = text_.substr(at_, offset - at_);
    at_ = offset;
    const size_t line_begin = between.rfind('\n') + 1;  // 0 if there is none.
    if (line_begin > 0) place_ = {PlaceAt(between, line_begin).line + place_.line - 1, 1};
    place_.column += CountCharacters(between.substr(line_begin));
    return place_;
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  Place place_;
};

class Handler : public nlohmann::json_sax<Json> {
 public:
  Handler(std::string_view text, const char* const* furthest, ConfigBuilder* builder)
      : text_(text), furthest_(*furthest), builder_(*builder), places_(text) {}

  const MaybePlacedError& error() const { return error_; }

  bool null() override { return Other("nothing", "null"); }
  bool boolean(bool value) override { return Other("a truth value", value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return Other("a number", std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return Other("a number", std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Other("a number", text);
  }
  bool string(string_t& value) override {
    return Keep(builder_.OnText(places_.At(StringBegin()), value));
  }
  bool key(string_t& value) override {
    return Keep(builder_.OnText(places_.At(StringBegin()), value));
  }
  bool binary(binary_t&) override { return Other("binary data", ""); }
  bool start_object(std::size_t) override {
    return Keep(builder_.OnMapBegin(places_.At(Before())));
  }
  bool end_object() override { return Keep(builder_.OnEnd()); }
  bool start_array(std::size_t) override {
    return Keep(builder_.OnListBegin(places_.At(Before())));
  }
  bool end_array() override { return Keep(builder_.OnEnd()); }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception...] parse error at line 1, column 2: what we want".
    std::string message = error.what();
    if (const size_t at = message.find(": "); at != std::string::npos) message.erase(0, at + 2);
    if (message.empty()) message = "unexpected " + Quote(token);
    return Keep(PlacedError{PlaceAt(text_, position == 0 ? 0 : position - 1), message});
  }

 private:
  size_t Before() const {
    const size_t offset = static_cast<size_t>(furthest_ - text_.data());
    return offset == 0 ? 0 : offset - 1;
  }

  // Of the string whose closing quote was read last.
  size_t StringBegin() const {
    size_t at = Before();
    while (at > 0) {
      --at;
      if (text_[at] != '"') continue;
      size_t backslashes = 0;
      while (backslashes < at && text_[at - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return at;
    }
    return 0;
  }

  // A word, behind which one character may have been read already.
  bool Other(std::string_view what, std::string text) {
    constexpr std::string_view kWord = "+-.0123456789abcdefghijklmnopqrstuvwxyzE";
    size_t at = Before();
    if (kWord.find(text_[at]) == std::string_view::npos && at > 0) --at;
    while (at > 0 && kWord.find(text_[at - 1]) != std::string_view::npos) --at;
    return Keep(builder_.OnOther(places_.At(at), what, std::move(text)));
  }

  bool Keep(MaybePlacedError error) {
    if (!error_) error_ = std::move(error);
    return !error_;
  }

  const std::string_view text_;
  const char* const& furthest_;
  ConfigBuilder& builder_;
  Places places_;
  MaybePlacedError error_;
};

}  // namespace

MaybePlacedError ReadJson(std::string_view text, ConfigBuilder* builder) {
  const char* furthest = text.data();
  Handler handler(text, &furthest, builder);
  Json::sax_parse(CountingIterator(text.data(), &furthest),
                  CountingIterator(text.data() + text.size(), &furthest), &handler);
  return handler.error();
}

}  // namespace gavel::client::ctl
