#include "client/ctl/flags.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<FlagSpec>& Table() {
  static const std::vector<FlagSpec> table = {
      {.name = "write-out", .default_text = "simple", .letter = 'w'},
      {.name = "interactive", .type = FlagType::kSwitch, .letter = 'i'},
      {.name = "prefix", .type = FlagType::kSwitch},
      {.name = "limit", .type = FlagType::kInteger, .default_text = "3"},
      {.name = "timeout", .type = FlagType::kDuration, .default_text = "5s"},
      {.name = "endpoints", .type = FlagType::kList, .default_text = "a"},
  };
  return table;
}

struct Read {
  FlagValues values;
  std::vector<std::string> words;
  bool help = false;
  MaybeFailure failure;
};

Read ReadAll(std::vector<std::string> tokens) {
  Read read;
  read.values.AddDefaults(Table());
  FlagReader reader(std::move(tokens));
  while (!reader.done() && !read.failure) {
    if (reader.AtFlag()) {
      read.failure = reader.ReadFlag({&Table()}, &read.values, &read.help);
    } else {
      read.words.push_back(reader.TakeWord());
    }
  }
  return read;
}

TEST(FlagReaderTest, FlagsStandAnywhereInEverySpelling) {
  for (const std::vector<std::string>& tokens :
       std::vector<std::vector<std::string>>{{"k", "--write-out=json", "v"},
                                             {"--write-out", "json", "k", "v"},
                                             {"k", "v", "-w", "json"},
                                             {"k", "-wjson", "v"},
                                             {"k", "-w=json", "v"}}) {
    const Read read = ReadAll(tokens);
    ASSERT_FALSE(read.failure) << read.failure->message;
    EXPECT_EQ(read.values.Text("write-out"), "json");
    EXPECT_TRUE(read.values.given("write-out"));
    EXPECT_THAT(read.words, ElementsAre("k", "v"));
  }
}

TEST(FlagReaderTest, SwitchTakesAValueOnlyWithEquals) {
  EXPECT_TRUE(ReadAll({"--prefix"}).values.Switch("prefix"));
  EXPECT_TRUE(ReadAll({"--prefix=true"}).values.Switch("prefix"));
  EXPECT_FALSE(ReadAll({"--prefix=false"}).values.Switch("prefix"));
  const Read read = ReadAll({"--prefix", "false"});
  EXPECT_TRUE(read.values.Switch("prefix"));
  EXPECT_THAT(read.words, ElementsAre("false"));
  EXPECT_TRUE(ReadAll({"-i"}).values.Switch("interactive"));
  EXPECT_FALSE(ReadAll({"-i=false"}).values.Switch("interactive"));
}

// What a store holds may look like anything. CLI11 would take [x] and {} for lists.
TEST(FlagReaderTest, KeysStayAsTheyAre) {
  EXPECT_THAT(ReadAll({"[a,b]", "{}", "%%", "", "-", "-5", "a=b"}).words,
              ElementsAre("[a,b]", "{}", "%%", "", "-", "-5", "a=b"));
  EXPECT_THAT(ReadAll({"--", "--prefix", "-x", "--"}).words, ElementsAre("--prefix", "-x", "--"));
}

TEST(FlagReaderTest, DefaultsHoldUntilGiven) {
  const Read read = ReadAll({});
  EXPECT_EQ(read.values.Integer("limit"), 3);
  EXPECT_EQ(read.values.Duration("timeout"), std::chrono::seconds(5));
  EXPECT_FALSE(read.values.given("limit"));
  EXPECT_THAT(ReadAll({"--endpoints= a ,b,,"}).values.List("endpoints"), ElementsAre("a", "b"));
}

// As etcdctl: "--endpoints a --endpoints b" names both. The default goes, and so does what of
// anything but a list was given before.
TEST(FlagReaderTest, AListGrowsWhenItIsGivenAgain) {
  const Read read = ReadAll({"--endpoints", "b,c", "--limit=1", "k", "--endpoints=d", "--limit=2"});
  EXPECT_THAT(read.values.List("endpoints"), ElementsAre("b", "c", "d"));
  EXPECT_EQ(read.values.Integer("limit"), 2);
}

TEST(FlagReaderTest, ErrorsNameTheFlag) {
  EXPECT_EQ(ReadAll({"--bogus"}).failure->message, "unknown flag: --bogus");
  EXPECT_THAT(ReadAll({"--limt=1"}).failure->hint, HasSubstr("--limit"));
  EXPECT_THAT(ReadAll({"--pre"}).failure->hint, HasSubstr("Did you mean --prefix? "));
  EXPECT_THAT(ReadAll({"--li=1"}).failure->hint, HasSubstr("Did you mean --limit? "));
  EXPECT_THAT(ReadAll({"--limti=1"}).failure->hint, HasSubstr("Did you mean --limit? "));
  EXPECT_THAT(ReadAll({"--xyz"}).failure->hint, Not(HasSubstr("Did you mean")));
  EXPECT_THAT(ReadAll({"--limit=x"}).failure->message, HasSubstr("\"--limit\""));
  EXPECT_THAT(ReadAll({"--prefix=maybe"}).failure->message, HasSubstr("\"maybe\""));
  EXPECT_THAT(ReadAll({"--timeout=5"}).failure->hint, HasSubstr("5s"));
  EXPECT_EQ(ReadAll({"--limit"}).failure->message, "flag needs an argument: --limit");
  EXPECT_EQ(ReadAll({"-w"}).failure->message, "flag needs an argument: -w");
  EXPECT_THAT(ReadAll({"-x"}).failure->message, HasSubstr("'x'"));
  EXPECT_EQ(ReadAll({"--bogus"}).failure->code, ExitCode::kError);
}

TEST(FlagReaderTest, HelpIsNoFlagOfTheTable) {
  EXPECT_TRUE(ReadAll({"-h"}).help);
  EXPECT_TRUE(ReadAll({"k", "--help"}).help);
  EXPECT_FALSE(ReadAll({"--", "--help"}).help);
}

}  // namespace
}  // namespace gavel::client::ctl
