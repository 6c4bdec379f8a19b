#include "client/ctl/config_document.h"

#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::HasSubstr;

constexpr ConfigFormat kFormats[] = {ConfigFormat::kYaml, ConfigFormat::kJson};

void ExpectRoundTrip(const ConfigDocument& document) {
  for (const ConfigFormat format : kFormats) {
    const std::string text = FormatConfig(document, format);
    const Expected<ConfigDocument> read = ParseConfig(text, format, "file");
    ASSERT_TRUE(read.ok()) << read.failure().message << "\n" << text;
    EXPECT_EQ(*read, document) << text;
  }
}

// Reading takes time in proportion to the text: this one would not end within a test's time if each
// name were looked for from the beginning.
TEST(ConfigDocumentTest, ALargeFileIsRead) {
  ConfigDocument document{.prefix = "app/", .revision = 1, .keys = {}};
  for (int i = 0; i < 200000; ++i) document.keys["app/" + std::to_string(i)] = "some value";
  ExpectRoundTrip(document);
}

// Where something stands in a line is not counted from its beginning each time.
TEST(ConfigDocumentTest, ALongLineOfYamlIsRead) {
  std::string text = "{prefix: app/, keys: {";
  for (int i = 0; i < 200000; ++i) text += "k" + std::to_string(i) + ": some value, ";
  const Expected<ConfigDocument> read =
      ParseConfig(text + "last: 1}}\n", ConfigFormat::kYaml, "file");
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.failure().message,
              HasSubstr("line 1, column " + std::to_string(text.size() + 7) + ": this value is"));
}

TEST(ConfigDocumentTest, JsonErrorsNameTheirPlaceWhateverStandsBefore) {
  const Expected<ConfigDocument> read = ParseConfig(
      "{\"prefix\": \"a\", \"keys\": {\n  \"\xc3\xa9\": \"\\\"x\", \"b\":\n\n\"y\",  \"\xc3\xa9\": "
      "\"z\"}}",
      ConfigFormat::kJson, "file");
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.failure().message, HasSubstr("file: line 4, column 7: duplicate key"));
}

TEST(ConfigDocumentTest, WhatIsWrittenIsReadAgain) {
  ExpectRoundTrip({});
  ExpectRoundTrip({.prefix = "app/", .revision = 7, .keys = {{"app/", "the prefix itself"}}});
  ConfigDocument document{.prefix = "app/", .revision = 42, .keys = {}};
  int number = 0;
  for (const std::string& value : {std::string(),
                                   std::string("x"),
                                   std::string("1"),
                                   std::string("1.10"),
                                   std::string("true"),
                                   std::string("null"),
                                   std::string("~"),
                                   std::string("yes"),
                                   std::string("- a"),
                                   std::string("a: b"),
                                   std::string("# x"),
                                   std::string("'x'"),
                                   std::string("\"x\""),
                                   std::string("a\nb\n"),
                                   std::string("a\nb"),
                                   std::string("\n"),
                                   std::string("\n\n"),
                                   std::string("a\n\nb\n\n"),
                                   std::string(" a\nb"),
                                   std::string("a\n b"),
                                   std::string("a \nb"),
                                   std::string("a\tb\n"),
                                   std::string("\ta\n"),
                                   std::string("a\r\nb"),
                                   std::string("---\na"),
                                   std::string("...\na\n"),
                                   std::string("gr\xc3\xbcn \xf0\x9f\x98\x80"),
                                   std::string("\xe2\x80\xa8\xc2\x85"),
                                   std::string("\xff\xfe"),
                                   std::string("a\0b", 3),
                                   std::string("\x1b[0m"),
                                   std::string("\\n"),
                                   std::string("%"),
                                   std::string("@`|>&*!{}[],?"),
                                   std::string(3000, 'x'),
                                   std::string("\x7f")}) {
    document.keys["app/value" + std::to_string(number++)] = value;
    document.keys["app/" + value + "?"] = value;
  }
  for (const char* name :
       {"a", "n", "yes", "1", "a/b.c_d-e", "-", "a b", "~", "null", "a:b", "\""}) {
    document.keys[std::string("app/") + name] = name;
  }
  ExpectRoundTrip(document);
}

// Any bytes, as keys and as values.
TEST(ConfigDocumentTest, AnyBytesComeThrough) {
  std::mt19937 dice(1);
  for (int round = 0; round < 200; ++round) {
    ConfigDocument document{.prefix = "p", .revision = 1 + round, .keys = {}};
    // Some rounds keep to the characters that mean something to either language.
    const std::string special = "\n\n  \t:#-'\"{}[]ab1,&*!|>\\";
    const auto bytes = [&] {
      std::string text;
      for (unsigned length = dice() % 12; length > 0; --length) {
        text += round % 2 == 0 ? special[dice() % special.size()] : static_cast<char>(dice());
      }
      return text;
    };
    for (int i = 0; i < 10; ++i) {
      const std::string key = "p" + bytes();
      document.keys[key] = bytes();
    }
    ExpectRoundTrip(document);
  }
}

TEST(ConfigDocumentTest, TextThatReadsWellStaysReadable) {
  EXPECT_EQ(FormatConfig({.prefix = "app/",
                          .revision = 42,
                          .keys = {{"app/colour", "blue"},
                                   {"app/logo", "\x89PNG"},
                                   {"app/motd", "hello\nworld\n"},
                                   {"app/yes", "1"},
                                   {"app/\xff", std::string("\0", 1)}}},
                         ConfigFormat::kYaml),
            "prefix: \"app/\"\n"
            "revision: 42\n"
            "keys:\n"
            "  colour: \"blue\"\n"
            "  logo: {base64: \"iVBORw==\"}\n"
            "  motd: |\n"
            "    hello\n"
            "    world\n"
            "  \"yes\": \"1\"\n"
            "binary_keys:\n"
            "  - {key: \"/w==\", value: \"AA==\"}\n");
}

TEST(ConfigDocumentTest, HandwrittenFilesAreRead) {
  const Expected<ConfigDocument> yaml = ParseConfig(
      "# a comment\nkeys: {a: blue sky, 'b': \"x\", c: 'it''s', d: >-\n    folded\n    text\n}\n"
      "prefix: app/\n",
      ConfigFormat::kYaml, "file");
  ASSERT_FALSE(yaml.ok());  // A block has no place in braces.
  const Expected<ConfigDocument> block = ParseConfig(
      "# a comment\nkeys:\n  a: blue sky  # why\n  'b': \"x\"\n  c: 'it''s'\n  d: >-\n    folded\n"
      "    text\n  v: v1.10-rc\nprefix: app/\n",
      ConfigFormat::kYaml, "file");
  ASSERT_TRUE(block.ok()) << block.failure().message;
  EXPECT_EQ(block->prefix, "app/");
  EXPECT_EQ(block->keys.at("app/a"), "blue sky");
  EXPECT_EQ(block->keys.at("app/c"), "it's");
  EXPECT_EQ(block->keys.at("app/d"), "folded text");
  EXPECT_EQ(block->keys.at("app/v"), "v1.10-rc");
  const Expected<ConfigDocument> json =
      ParseConfig(R"({"prefix":"a/","keys":{"x":"\ud83d\ude00\/\u00fc","y":{"base64":"AA=="}}})",
                  ConfigFormat::kJson, "file");
  ASSERT_TRUE(json.ok()) << json.failure().message;
  EXPECT_EQ(json->keys.at("a/x"), "\xf0\x9f\x98\x80/\xc3\xbc");
  EXPECT_EQ(json->keys.at("a/y"), std::string(1, '\0'));
}

struct BadFile {
  ConfigFormat format;
  std::string text;
  std::string message;
};

class BadConfigTest : public testing::TestWithParam<BadFile> {};

TEST_P(BadConfigTest, IsRefusedWithItsPlace) {
  const Expected<ConfigDocument> read = ParseConfig(GetParam().text, GetParam().format, "file");
  ASSERT_FALSE(read.ok()) << GetParam().text;
  EXPECT_EQ(read.failure().code, ExitCode::kInvalidInput);
  EXPECT_THAT(read.failure().message, HasSubstr("file: " + GetParam().message));
  EXPECT_NE(read.failure().hint, "");
}

constexpr ConfigFormat kYaml = ConfigFormat::kYaml;
constexpr ConfigFormat kJson = ConfigFormat::kJson;

INSTANTIATE_TEST_SUITE_P(
    Yaml, BadConfigTest,
    testing::Values(
        BadFile{kYaml, "", "line 1, column 1: the file is empty"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: \"1\"\n  b: \"2\"\n  a: \"3\"\n",
                "line 5, column 3: duplicate key \"a\""},
        BadFile{kYaml, "prefix: a\nprefix: b\nkeys: {}\n", "line 2, column 1: duplicate key"},
        BadFile{kYaml, "prefix: a\nkeys: {x: b}\nbinary_keys: [{key: eA==, value: eA==}]\n",
                "line 3, column 15: duplicate key \"x\""},
        BadFile{kYaml, "prefix: a\nkeys:\n\ta: \"1\"\n", "line 3, column 1: a tab cannot indent"},
        BadFile{kYaml, "prefix: a\nkeys:\n  \ta: \"1\"\n", "line 3, column 5: a tab cannot indent"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: 1\n", "line 3, column 6: this value is a number"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: -1.5e3\n", "line 3, column 6: this value is a num"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: 0x1f\n", "line 3, column 6: this value is a number"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: 12:30\n", "line 3, column 6: this value is a num"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: No\n", "line 3, column 6: this value is a truth"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: ~\n", "line 3, column 6: this value is nothing"},
        BadFile{kYaml, "prefix: a\nkeys:\n  1: \"x\"\n", "line 3, column 3: this name is a number"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: [x]\n", "line 3, column 6: text, or {base64"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: {b: c}\n", "line 3, column 7: unknown field \"b\""},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: {base64: \"?\"}\n",
                "line 3, column 15: this is no base64"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: {}\n", "line 3, column 3: this mapping needs"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: &x b\n", "line 3, column 6: anchors"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: !!int \"1\"\n", "line 3, column 6: the tag"},
        BadFile{kYaml, "prefix: a\nkeys: x\n", "line 2, column 7: a mapping"},
        BadFile{kYaml, "prefix: a\nkeys: " + std::string(100'000, '[') + "\n",
                "line 2, column 7: a mapping"},
        BadFile{kYaml, "prefix: a\nkeys: {}\nkey: {}\n", "line 3, column 1: unknown field \"key\""},
        BadFile{kYaml, "prefix: a\nkeys: {}\nrevision: \"5\"\n", "line 3, column 11: a number"},
        BadFile{kYaml, "prefix: a\nkeys: {}\nrevision: -5\n", "line 3, column 11: the revision"},
        BadFile{kYaml, "prefix: a\n", "keys missing"},
        BadFile{kYaml, "keys: {}\n", "prefix missing"},
        BadFile{kYaml, "- a\n", "line 1, column 1: a mapping with prefix and keys"},
        BadFile{kYaml, "prefix: a\nkeys: {}\n---\nprefix: a\n", "line 3, column 1: the file holds"},
        BadFile{kYaml, "prefix: \"\"\nkeys:\n  a: \"1\"\n  \"\": \"x\"\n",
                "line 4, column 3: a key is empty"},
        BadFile{kYaml, "keys: {\"\": x}\nprefix: \"\"\n", "line 1, column 8: a key is empty"},
        BadFile{kYaml, "prefix: \"\"\nbinary_keys: [{key: \"\", value: eA==}]\n",
                "line 2, column 15: a key is empty"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: \"1\"\n  : \"x\"\n",
                "line 4, column 3: this name is nothing"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a:\n  b: \"1\"\n",
                "line 3, column 3: this value is nothing"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a:\n\n# the end\n",
                "line 3, column 3: this value is nothing"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a:\n    null\n",
                "line 4, column 5: this value is nothing"},
        BadFile{kYaml, "prefix:\nkeys: {}\n", "line 1, column 1: this value is nothing"},
        BadFile{kYaml, "prefix: a\nkeys: {a: , b: x}\n", "line 2, column 11: this value is noth"},
        // Columns count characters.
        BadFile{kYaml, "\xef\xbb\xbfprefix: a\nkeys: {\xc3\xbc: 1}\n",
                "line 2, column 11: this value is a number"},
        // Bytes that are no text.
        BadFile{kYaml, "prefix: a\nkeys:\n  \xc3\xbc: \"x\xff\"\n",
                "line 3, column 8: the byte \\xff is no UTF-8; a value of bytes is written "
                "{base64: ...}, and a key of bytes under binary_keys"},
        BadFile{kYaml, "prefix: a\nkeys:\n  \xc0\x80: x\n", "line 3, column 3: the byte \\xc0"},
        BadFile{kYaml, "prefix: a\nkeys: {}\n# \xed\xa0\x80\n", "line 3, column 3: the byte \\xed"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: \"tru", "line 3, column 10: the file ends within"},
        BadFile{kYaml, "keys:\n  a: \"1\"\nprefix: \"a\n",
                "line 4, column 1: the file ends within"},
        BadFile{kYaml, "prefix: a\nkeys:\n  a: 'tru\n", "line 4, column 1: the file ends within"}));

INSTANTIATE_TEST_SUITE_P(
    Json, BadConfigTest,
    testing::Values(
        BadFile{kJson, "", "line 1, column 1: "}, BadFile{kJson, "{\"prefix\":", "line 1, column "},
        BadFile{kJson, "{\"prefix\": \"a\",\n \"keys\": {\"a\": \"1\",\n  \"a\": \"2\"}}",
                "line 3, column 3: duplicate key \"a\""},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"a\": 1}}",
                "line 1, column 31: this value is a number"},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"a\":\n   -12.50 }}",
                "line 2, column 4: this value is a number, not text; put it in quotes: \"-12.50\""},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"a\": true}}",
                "line 1, column 31: this value is a truth value"},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"a\": null}}",
                "line 1, column 31: this value is nothing"},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": []}",
                "line 1, column 25: a mapping of names to values"},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"\\\"q\": \"x\", \"\\\"q\": \"y\"}}",
                "line 1, column 38: duplicate key \"\\\"q\""},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {}} x", "line 1, column 29: "},
        BadFile{kJson, "{\"prefix\": \"a\", \"keys\": {\"a\": \"\xff\"}}",
                "line 1, column 32: the byte \\xff is no UTF-8"},
        BadFile{kJson, "{\"prefix\": \"\",\n \"keys\": {\"\": \"x\"}}",
                "line 2, column 11: a key is empty"}));

TEST(ConfigDocumentTest, ADuplicateKeyIsToldWithBothItsPlaces) {
  const Expected<ConfigDocument> yaml =
      ParseConfig("prefix: a\nkeys:\n  a: \"1\"\n  b: \"2\"\n  a: \"3\"\n", kYaml, "file");
  ASSERT_FALSE(yaml.ok());
  EXPECT_THAT(yaml.failure().hint, HasSubstr("in line 3 already. A key has one value: take one"));
  const Expected<ConfigDocument> json = ParseConfig(
      "{\"prefix\": \"a\",\n \"keys\": {\"c/a\": \"1\",\n  \"c/a\": \"2\"}}", kJson, "file");
  ASSERT_FALSE(json.ok());
  EXPECT_THAT(json.failure().hint, HasSubstr("in line 2 already. A key has one value: take one"));
  const Expected<ConfigDocument> bytes = ParseConfig(
      "prefix: a\nkeys: {x: b}\nbinary_keys: [{key: eA==, value: eA==}]\n", kYaml, "file");
  ASSERT_FALSE(bytes.ok());
  EXPECT_THAT(bytes.failure().hint, HasSubstr("take one of the two out"));
}

// Damage must not pass for another configuration.
TEST(ConfigDocumentTest, AFileThatIsCutOffIsRefused) {
  const ConfigDocument document{
      .prefix = "a/", .revision = 3, .keys = {{"a/x", "1"}, {"a/y", "two words"}}};
  const std::string json = FormatConfig(document, kJson);
  for (size_t length = 0; length + 2 < json.size(); ++length) {
    EXPECT_FALSE(ParseConfig(json.substr(0, length), kJson, "file").ok()) << length;
  }
}

}  // namespace
}  // namespace gavel::client::ctl
