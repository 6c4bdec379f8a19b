// Configuration files of gavelctl, in YAML and in JSON: what is refused is refused with a place in
// the file, and what is read is the same again when written in either language.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "client/ctl/config_document.h"
#include "client/ctl/text.h"
#include "raft/check.h"
#include "tests/fuzz/fuzz_target.h"

namespace gavel::fuzz {
namespace {

using client::ctl::ConfigDocument;
using client::ctl::ConfigFormat;
using client::ctl::ExitCode;
using client::ctl::Expected;
using client::ctl::Failure;
using client::ctl::FormatConfig;
using client::ctl::IsUtf8;

enum Kind { kYaml, kJson, kMade, kKinds };

void CheckFailure(const Failure& failure, std::string_view text) {
  GAVEL_CHECK(failure.code == ExitCode::kInvalidInput);
  GAVEL_CHECK(failure.message.substr(0, 6) == "FILE: ") << failure.message;
  size_t line = 0;
  size_t column = 0;
  if (std::sscanf(failure.message.c_str(), "FILE: line %zu, column %zu: ", &line, &column) == 0) {
    return;  // What is missing stands nowhere.
  }
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  GAVEL_CHECK(line >= 1 && line <= lines + 1 && column >= 1) << failure.message;
}

void WriteAndRead(const ConfigDocument& document) {
  for (const ConfigFormat format : {ConfigFormat::kYaml, ConfigFormat::kJson}) {
    const std::string written = FormatConfig(document, format);
    const Expected<ConfigDocument> again = ParseConfig(written, format, "AGAIN");
    GAVEL_CHECK(again.ok()) << again.failure().message << "\n" << written;
    GAVEL_CHECK(*again == document) << written;
  }
}

void OneFile(std::string_view text, ConfigFormat format) {
  const Expected<ConfigDocument> document = ParseConfig(text, format, "FILE");
  if (!document.ok()) return CheckFailure(document.failure(), text);
  GAVEL_CHECK(!document->keys.contains("")) << "an empty key";
  for (const auto& [key, value] : document->keys) {
    GAVEL_CHECK(key.substr(0, document->prefix.size()) == document->prefix) << key;
  }
  // The prefix has to be text, or there would be no way to write it.
  if (IsUtf8(document->prefix)) WriteAndRead(*document);
}

// Any keys and values can be written and read back.
void OneDocument(Choices choices) {
  ConfigDocument document{
      .prefix = {}, .revision = static_cast<int64_t>(choices.Number(4)), .keys = {}};
  for (const char c : choices.Bytes(choices.Below(4))) {
    document.prefix += static_cast<char>(0x20 + (static_cast<unsigned char>(c) % 0x5f));
  }
  while (!choices.empty()) {
    const std::string name(choices.Bytes(choices.Byte()));
    const std::string value(choices.Bytes(choices.Byte()));
    if (!(document.prefix + name).empty()) document.keys[document.prefix + name] = value;
  }
  WriteAndRead(document);
}

}  // namespace

void OneInput(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (static_cast<uint8_t>(input[0]) % kKinds) {
    case kYaml:
      return OneFile(text, ConfigFormat::kYaml);
    case kJson:
      return OneFile(text, ConfigFormat::kJson);
    default:
      return OneDocument(Choices(text));
  }
}

std::vector<std::string> Seeds() {
  const auto seed = [](Kind kind, const std::string& text) {
    return std::string(1, static_cast<char>(kind)) + text;
  };
  const std::string yaml =
      "prefix: app/\nrevision: 42\nkeys:\n  colour: \"blue\"\n  motto: |\n    one\n    two\n"
      "  logo: {base64: iVBORw0KGgo=}\nbinary_keys:\n  - {key: /w==, value: AAEC}\n";
  const std::string json =
      "{\"prefix\": \"app/\", \"revision\": 42, \"keys\": {\"a\": \"x\\u00e9\", \"b\": "
      "{\"base64\": \"AAE=\"}}, \"binary_keys\": [{\"key\": \"/w==\", \"value\": \"\"}]}";
  return {
      seed(kYaml, yaml),
      seed(kYaml, "prefix: \"\"\nkeys: {}\n"),
      seed(kYaml, "prefix: a\nkeys:\n  a: 1.10\n"),
      seed(kYaml, "prefix: a\nkeys:\n\ta: b\n"),
      seed(kYaml, "prefix: a\nkeys: {a: b, a: c}\n"),
      seed(kYaml, "prefix: &x a\nkeys: {k: *x}\n"),
      seed(kYaml, "? [a]\n: >-\n  folded\n  text\n--- \n...\n%YAML 1.2\n"),
      seed(kYaml, "prefix: !!str 7\nkeys: {'it''s': \"cut"),
      seed(kYaml, "{{[{[{{[[["),
      seed(kJson, json),
      seed(kJson, "{\"prefix\": \"a\", \"keys\": {\"k\": null, \"n\": -1.5e7}}"),
      seed(kJson, "{\"prefix\": \"a\", \"keys\": {\"k\": \"\\ud83d\\ude00\", \"k\": \"\"}}"),
      seed(kJson, "[[[[\"cut off"),
      seed(kMade, std::string("\1\0\0\0\3app\5\4namevalu\2", 17)),
      seed(kMade, std::string("\0\0\0\0\0\1\377\3\n\n\n\2 x\3a\tb\1:\2- ", 23)),
  };
}

void Mend(std::string&, raft::Random&) {}

}  // namespace gavel::fuzz
