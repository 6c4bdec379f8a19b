#include "client/ctl/command.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ctl/completion.h"
#include "client/ctl/help.h"
#include "client/ctl/manual.h"

namespace gavel::client::ctl {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string NameOf(std::vector<std::string> tokens) {
  const Expected<CommandLine> line = ReadCommandLine(std::move(tokens));
  return line.ok() ? FullName(line->path) : line.failure().message;
}

TEST(CommandLineTest, FindsCommandsBetweenFlags) {
  EXPECT_EQ(NameOf({"get", "k"}), "gavelctl get");
  EXPECT_EQ(NameOf({"-w", "json", "endpoint", "--cluster", "status"}), "gavelctl endpoint status");
  EXPECT_EQ(NameOf({"endpoint", "status", "--cluster"}), "gavelctl endpoint status");
}

TEST(CommandLineTest, ShortNamesAreTakenWhenClear) {
  EXPECT_EQ(NameOf({"comp", "5"}), "unknown command \"comp\" for \"gavelctl\"");  // completion too.
  EXPECT_EQ(NameOf({"compa", "5"}), "gavelctl compaction");
  EXPECT_EQ(NameOf({"m", "l"}), "unknown command \"m\" for \"gavelctl\"");  // manual, mget, mset.
  EXPECT_EQ(NameOf({"mem", "l"}), "gavelctl member list");
}

TEST(CommandLineTest, UnknownCommandsGetASuggestion) {
  const Expected<CommandLine> line = ReadCommandLine({"gett", "k"});
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.failure().code, ExitCode::kError);
  EXPECT_THAT(line.failure().hint, HasSubstr("'get'"));
  const Expected<CommandLine> two = ReadCommandLine({"co"});
  ASSERT_FALSE(two.ok());
  EXPECT_THAT(two.failure().hint, HasSubstr("compaction or config or completion"));
}

TEST(CommandLineTest, AFlagCutShortIsAnsweredWithThoseItBegins) {
  EXPECT_THAT(ReadCommandLine({"get", "k", "--pre"}).failure().hint,
              HasSubstr("Did you mean --prefix? "));
  EXPECT_THAT(ReadCommandLine({"del", "k", "--pre"}).failure().hint,
              HasSubstr("Did you mean --prefix or --prev-kv? "));
}

TEST(CommandLineTest, OnlyWhatIsNearIsSuggested) {
  EXPECT_THAT(ReadCommandLine({"wacth"}).failure().hint, HasSubstr("'watch'"));
  EXPECT_THAT(ReadCommandLine({"gte"}).failure().hint, HasSubstr("'get'"));
  EXPECT_THAT(ReadCommandLine({"compactoin"}).failure().hint, HasSubstr("'compaction'"));
  for (const char* far : {"outh", "usr", "delta", "x"}) {
    EXPECT_THAT(ReadCommandLine({far}).failure().hint, Not(HasSubstr("Did you mean"))) << far;
  }
}

TEST(CommandLineTest, CommandsOfEtcdctlThatAreNotHereAreToldOf) {
  for (const char* name : {"auth", "user", "role", "downgrade"}) {
    const Expected<CommandLine> line = ReadCommandLine({name, "list"});
    ASSERT_FALSE(line.ok()) << name;
    EXPECT_EQ(line.failure().message,
              "unknown command \"" + std::string(name) + "\" for \"gavelctl\"");
    EXPECT_THAT(line.failure().hint, AllOf(HasSubstr("yet"), Not(HasSubstr("Did you mean"))));
  }
  for (const char* name : {"restore", "status"}) {
    EXPECT_THAT(ReadCommandLine({"snapshot", name, "f"}).failure().hint,
                HasSubstr("'gavelutl snapshot " + std::string(name) + "'"));
  }
}

TEST(CommandLineTest, WordsBehindACommandAreItsArguments) {
  const Expected<CommandLine> line = ReadCommandLine({"put", "get", "endpoint"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->arguments, ElementsAre("get", "endpoint"));
}

TEST(CommandLineTest, ACommandWithoutItsSubcommandShowsHelp) {
  EXPECT_TRUE(ReadCommandLine({})->help);
  EXPECT_TRUE(ReadCommandLine({"endpoint"})->help);
  EXPECT_TRUE(ReadCommandLine({"help", "get"})->help);
  EXPECT_EQ(FullName(ReadCommandLine({"help", "get"})->path), "gavelctl get");
  EXPECT_FALSE(ReadCommandLine({"version"})->help);
}

TEST(CommandLineTest, FlagsOfOneCommandAreNotThoseOfAnother) {
  EXPECT_EQ(NameOf({"put", "--prefix", "k", "v"}), "unknown flag: --prefix");
}

// Help, completion and the manual come from the tables, so nothing can be missing there.
TEST(TablesTest, EveryCommandAndFlagIsDescribedEverywhere) {
  const std::string manual = ManualPage();
  const std::string bash = BashCompletion();
  const std::string zsh = ZshCompletion();
  const std::string fish = FishCompletion();
  for (const CommandPath& path : RunnableCommands()) {
    const std::string name(path.back()->name);
    EXPECT_FALSE(path.back()->summary.empty()) << name;
    EXPECT_THAT(HelpText({&RootCommand()}), HasSubstr(name));
    EXPECT_THAT(bash, HasSubstr(name));
    EXPECT_THAT(zsh, HasSubstr(name));
    EXPECT_THAT(fish, HasSubstr(name));
    std::set<std::string_view> names;
    for (const FlagSpec& flag : OwnFlags(path)) {
      const std::string flag_name(flag.name);
      EXPECT_TRUE(names.insert(flag.name).second) << name << " has --" << flag_name << " twice";
      EXPECT_FALSE(flag.help.empty()) << flag_name;
      EXPECT_THAT(HelpText(path), HasSubstr("--" + flag_name));
      EXPECT_THAT(bash, HasSubstr("--" + flag_name));
      EXPECT_THAT(zsh, HasSubstr("--" + flag_name));
      EXPECT_THAT(fish, HasSubstr("-l " + flag_name));
      for (const FlagSpec& global : GlobalFlags()) {
        EXPECT_NE(global.name, flag.name) << "a flag of " << name << " hides a global one";
      }
    }
  }
  for (const FlagSpec& flag : GlobalFlags()) {
    EXPECT_THAT(HelpText({&RootCommand()}), HasSubstr("--" + std::string(flag.name)));
  }
}

}  // namespace
}  // namespace gavel::client::ctl
