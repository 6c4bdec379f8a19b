// A document's structure as a stream of events with their places, whichever language it is
// written in. The builder behind it knows what a configuration file must look like.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "client/ctl/config_document.h"
#include "client/ctl/failure.h"

namespace gavel::client::ctl {

struct Place {
  size_t line = 1;
  size_t column = 1;
};

struct PlacedError {
  Place place = {};
  std::string message = {};
  std::string hint = {};  // What to try; may be empty.
};
using MaybePlacedError = std::optional<PlacedError>;

// Builds a document from events. The first error ends it.
class ConfigBuilder {
 public:
  virtual ~ConfigBuilder() = default;

  // Text in quotes, or plain text that can be nothing else. In a mapping, keys and values
  // alternate.
  virtual MaybePlacedError OnText(Place place, std::string text) = 0;
  // A number, a truth value or nothing: `what` names it, `text` is how it is written.
  virtual MaybePlacedError OnOther(Place place, std::string_view what, std::string text) = 0;
  virtual MaybePlacedError OnMapBegin(Place place) = 0;
  virtual MaybePlacedError OnListBegin(Place place) = 0;
  virtual MaybePlacedError OnEnd() = 0;  // Of the innermost mapping or list.
};

// Feeds a text to a builder.
MaybePlacedError ReadYaml(std::string_view text, ConfigBuilder* builder);
MaybePlacedError ReadJson(std::string_view text, ConfigBuilder* builder);

// What YAML 1.1 or 1.2 takes an unquoted word for, if not for text; empty if for text.
std::string_view OtherThanText(const std::string& word);

// Where the byte at `offset` stands; columns count characters.
Place PlaceAt(std::string_view text, size_t offset);

}  // namespace gavel::client::ctl
