// What a configuration file holds: from events to a document.
#include "client/ctl/config_document.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "client/ctl/config_events.h"
#include "client/ctl/text.h"

namespace gavel::client::ctl {
namespace {

constexpr char kAsExported[] = "'gavelctl config export <prefix>' writes a file as it should be.";
constexpr char kOneOfTwo[] = "A key has one value: take one of the two out.";

Failure AtPlace(std::string_view file_name, const PlacedError& error) {
  return Failure{ExitCode::kInvalidInput,
                 std::string(file_name) + ": line " + std::to_string(error.place.line) +
                     ", column " + std::to_string(error.place.column) + ": " + error.message,
                 error.hint.empty() ? kAsExported : error.hint};
}

// Either language is text. What is not is damaged, or bytes that were pasted into it.
MaybePlacedError FindBytes(std::string_view text) {
  const std::optional<size_t> at = FindNoUtf8(text);
  if (!at) return std::nullopt;
  return PlacedError{PlaceAt(text, *at),
                     "the byte " + HexEscape(text.substr(*at, 1)) +
                         " is no UTF-8; a value of bytes is written {base64: ...}, and a key of "
                         "bytes under binary_keys"};
}

class DocumentBuilder : public ConfigBuilder {
 public:
  MaybePlacedError OnText(Place place, std::string text) override {
    if (AtName()) return OnName(place, std::move(text));
    return OnValue(place, std::move(text));
  }

  MaybePlacedError OnOther(Place place, std::string_view what, std::string text) override {
    if (!stack_.empty() && stack_.back() == In::kTop && name_ == "revision") {
      const std::optional<int64_t> revision = ParseInteger(text);
      if (!revision || *revision < 0) return PlacedError{place, "the revision is no whole number"};
      document_.revision = *revision;
      name_.reset();
      return std::nullopt;
    }
    std::string message = AtName() ? "this name is " : "this value is ";
    message += std::string(what);
    message += text.empty() ? "; text is wanted: \"\" is the empty one"
                            : ", not text; put it in quotes: " + Quote(text);
    return PlacedError{place, std::move(message)};
  }

  MaybePlacedError OnMapBegin(Place place) override {
    if (stack_.empty()) return Enter(In::kTop);
    if (AtName()) return PlacedError{place, "a name is wanted here, not a mapping"};
    if (stack_.back() == In::kTop && name_ == "keys") return Enter(In::kKeys);
    if (stack_.back() == In::kKeys) return Enter(In::kBytes);
    if (stack_.back() == In::kBinaryList) {
      entry_ = {};
      entry_place_ = place;
      return Enter(In::kBinaryEntry);
    }
    return PlacedError{place, Wanted() + ", not a mapping"};
  }

  MaybePlacedError OnListBegin(Place place) override {
    if (!stack_.empty() && stack_.back() == In::kTop && name_ == "binary_keys") {
      return Enter(In::kBinaryList);
    }
    if (AtName()) return PlacedError{place, "a name is wanted here, not a list"};
    return PlacedError{place, Wanted() + ", not a list"};
  }

  MaybePlacedError OnEnd() override {
    const In ended = stack_.back();
    stack_.pop_back();
    names_.pop_back();
    name_ = std::move(outer_names_.back());
    outer_names_.pop_back();
    MaybePlacedError error;
    if (ended == In::kBytes && !bytes_given_) {
      error = PlacedError{value_place_, "this mapping needs the field base64"};
    } else if (ended == In::kBinaryEntry) {
      if (entry_.key && entry_.key->empty()) empty_name_ = entry_place_;
      error = entry_.key && entry_.value
                  ? AddKey(entry_place_, *std::move(entry_.key), *std::move(entry_.value))
                  : PlacedError{entry_place_, "this entry needs the fields key and value"};
    }
    if (!stack_.empty() && stack_.back() != In::kBinaryList) name_.reset();
    return error;
  }

  // After the last event.
  Expected<ConfigDocument> Finish(std::string_view file_name) {
    std::string missing;
    if (!has_prefix_) missing = "prefix";
    if (!has_keys_) missing = missing.empty() ? "keys" : missing + " and keys";
    if (!missing.empty()) {
      return Failure{ExitCode::kInvalidInput, std::string(file_name) + ": " + missing + " missing",
                     kAsExported};
    }
    if (document_.prefix.empty() && empty_name_) {
      return AtPlace(file_name, {*empty_name_, "a key is empty, as its prefix and its name are",
                                 "Give the file a prefix, or that key a name."});
    }
    ConfigDocument whole{.prefix = document_.prefix, .revision = document_.revision, .keys = {}};
    for (auto& [key, value] : document_.keys) {
      whole.keys.emplace(document_.prefix + key, std::move(value));
    }
    return whole;
  }

 private:
  enum class In { kTop, kKeys, kBytes, kBinaryList, kBinaryEntry };

  struct Entry {
    std::optional<std::string> key;
    std::optional<std::string> value;
  };

  MaybePlacedError Enter(In in) {
    if (in == In::kKeys || in == In::kBinaryList) has_keys_ = true;
    if (in == In::kBytes) bytes_given_ = false;
    stack_.push_back(in);
    names_.emplace_back();
    outer_names_.push_back(std::exchange(name_, std::nullopt));
    return std::nullopt;
  }

  bool AtName() const { return !stack_.empty() && stack_.back() != In::kBinaryList && !name_; }

  std::string Wanted() const {
    if (stack_.empty()) return "a mapping with prefix and keys is wanted here";
    switch (stack_.back()) {
      case In::kTop:
        if (name_ == "keys") return "a mapping of names to values is wanted here";
        if (name_ == "binary_keys") return "a list is wanted here";
        return name_ == "revision" ? "a number is wanted here" : "text is wanted here";
      case In::kKeys:
        return "text, or {base64: ...}, is wanted here";
      case In::kBinaryList:
        return "a mapping with key and value is wanted here";
      case In::kBytes:
      case In::kBinaryEntry:
        break;
    }
    return "text in base64 is wanted here";
  }

  MaybePlacedError OnName(Place place, std::string text) {
    if (const auto [before, added] = names_.back().emplace(text, place); !added) {
      return PlacedError{
          place, "duplicate key " + Quote(text),
          "It stands in line " + std::to_string(before->second.line) + " already. " + kOneOfTwo};
    }
    const auto known = [&](std::initializer_list<std::string_view> names) -> MaybePlacedError {
      if (std::find(names.begin(), names.end(), text) != names.end()) return std::nullopt;
      const std::vector<std::string> list(names.begin(), names.end());
      return PlacedError{place,
                         "unknown field " + Quote(text) + "; here can be " + Join(list, ", ")};
    };
    MaybePlacedError error;
    if (stack_.back() == In::kTop) error = known({"prefix", "revision", "keys", "binary_keys"});
    if (stack_.back() == In::kBytes) error = known({"base64"});
    if (stack_.back() == In::kBinaryEntry) error = known({"key", "value"});
    if (stack_.back() == In::kKeys) {
      value_place_ = place;
      if (text.empty()) empty_name_ = place;
    }
    name_ = std::move(text);
    return error;
  }

  MaybePlacedError OnValue(Place place, std::string text) {
    if (stack_.empty() || stack_.back() == In::kBinaryList) return PlacedError{place, Wanted()};
    const std::string name = *std::exchange(name_, std::nullopt);
    if (stack_.back() == In::kKeys) return AddKey(place, name, std::move(text));
    if (stack_.back() == In::kTop) {
      if (name != "prefix") {
        name_ = name;
        return PlacedError{place, Wanted() + ", not text"};
      }
      has_prefix_ = true;
      document_.prefix = std::move(text);
      return std::nullopt;
    }
    std::optional<std::string> bytes = FromBase64(text);
    if (!bytes) return PlacedError{place, "this is no base64"};
    if (stack_.back() == In::kBytes) {
      bytes_given_ = true;
      return AddKey(place, *outer_names_.back(), *std::move(bytes));
    }
    (name == "key" ? entry_.key : entry_.value) = std::move(bytes);
    return std::nullopt;
  }

  MaybePlacedError AddKey(Place place, std::string key, std::string value) {
    const std::string shown = Quote(key);
    if (!document_.keys.emplace(std::move(key), std::move(value)).second) {
      return PlacedError{place, "duplicate key " + shown, kOneOfTwo};
    }
    return std::nullopt;
  }

  ConfigDocument document_;  // Its keys without the prefix, which may come last.
  std::vector<In> stack_;
  std::vector<std::map<std::string, Place>> names_;      // Seen, of each open mapping.
  std::vector<std::optional<std::string>> outer_names_;  // name_ of each enclosing one.
  std::optional<std::string> name_;                      // Waits for its value.
  Entry entry_;
  Place entry_place_;
  Place value_place_;
  std::optional<Place> empty_name_;  // Which is a key only behind a prefix.
  bool bytes_given_ = false;
  bool has_prefix_ = false;
  bool has_keys_ = false;
};

}  // namespace

Place PlaceAt(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const size_t line_begin = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1,
          CountCharacters(before.substr(line_begin)) + 1};
}

ConfigFormat FormatOfFile(std::string_view path) {
  return path.size() > 5 && path.substr(path.size() - 5) == ".json" ? ConfigFormat::kJson
                                                                    : ConfigFormat::kYaml;
}

Expected<ConfigDocument> ParseConfig(std::string_view text, ConfigFormat format,
                                     std::string_view file_name) {
  if (const MaybePlacedError bytes = FindBytes(text)) {
    return AtPlace(file_name, *bytes);
  }
  DocumentBuilder builder;
  const MaybePlacedError error =
      format == ConfigFormat::kJson ? ReadJson(text, &builder) : ReadYaml(text, &builder);
  if (error) return AtPlace(file_name, *error);
  return builder.Finish(file_name);
}

}  // namespace gavel::client::ctl
