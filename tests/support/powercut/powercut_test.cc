// The preloaded library and the restore step, on a small program that dies in the middle.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/powercut/image.h"
#include "tests/support/powercut/restore.h"
#include "tests/support/temporary_directory.h"

namespace gavel::powercut {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

using Files = std::map<std::string, std::string>;

class PowercutTest : public ::testing::Test {
 protected:
  PowercutTest() {
    std::filesystem::create_directory(data());
    Set("POWERCUT_DIR", data());
    Set("POWERCUT_SHADOW", shadow());
    Set("POWERCUT_LOG", log_path());
    Set("LD_PRELOAD", POWERCUT_LIBRARY);
  }

  std::string data() const { return root_.path() + "/data"; }
  std::string shadow() const { return root_.path() + "/shadow"; }
  std::string log_path() const { return root_.path() + "/log"; }
  std::string control() const { return root_.path() + "/control"; }

  void Set(const std::string& name, const std::string& value) { environment_[name] = value; }

  // Runs the probe with the words of `script`; returns what it printed, and how it ended.
  std::string Run(const std::string& script) {
    std::vector<std::string> words = {POWERCUT_PROBE};
    std::istringstream text(script);
    for (std::string word; text >> word;) words.push_back(word);
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment_) variables.push_back(name + "=" + value);
    std::vector<char*> argv, envp;
    for (std::string& word : words) argv.push_back(word.data());
    for (std::string& variable : variables) envp.push_back(variable.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    const std::string out = root_.path() + "/out";
    const pid_t pid = fork();
    if (pid == 0) {
      const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(fd, 1);
      dup2(fd, 2);
      execve(argv[0], argv.data(), envp.data());
      _exit(127);
    }
    waitpid(pid, &status_, 0);
    return ReadFile(out).value_or("");
  }
  bool killed() const { return WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL; }

  RestoreResult CutPower(Cut cut, uint64_t seed = 1) {
    return Restore(data(), shadow(), cut, seed);
  }

  // Relative path -> contents, directories with "/".
  Files Left() const {
    Files files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data())) {
      const std::string name = std::filesystem::relative(entry.path(), data()).string();
      files[name] = entry.is_directory() ? "/" : ReadFile(entry.path().string()).value();
    }
    return files;
  }

  void Write(const std::string& path, const std::string& text) const {
    std::ofstream(path) << text;
  }
  std::string Log() const { return ReadFile(log_path()).value_or(""); }

 private:
  testing::TemporaryDirectory root_;
  std::map<std::string, std::string> environment_;
  int status_ = 0;
};

TEST_F(PowercutTest, SyncedBytesStayAndOthersGo) {
  Run("create a write a 0 one sync a syncdir . write a 3 two die");
  EXPECT_TRUE(killed());
  const RestoreResult result = CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "one")));
  EXPECT_TRUE(result.followed);
  EXPECT_EQ(result.bytes_lost, 6u);
  EXPECT_EQ(result.files_changed, 1);
}

TEST_F(PowercutTest, OverwrittenBytesComeBack) {
  Write(data() + "/a", "old bytes");
  Run("write a 0 new die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "old bytes")));
}

TEST_F(PowercutTest, AFileWithoutASyncOfItsDirectoryIsGone) {
  Run("create a write a 0 one fsync a die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre());
}

TEST_F(PowercutTest, ANameWithoutASyncOfItsFileIsEmpty) {
  Run("create a write a 0 one syncdir . die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "")));
}

TEST_F(PowercutTest, ARenameWithoutASyncOfTheDirectoryIsUndone) {
  Write(data() + "/a", "old");
  Run("create b write b 0 new sync b syncdir . rename b a die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "old"), Pair("b", "new")));
}

TEST_F(PowercutTest, ASyncedRenameStays) {
  Write(data() + "/a", "old");
  Run("create b write b 0 new sync b rename b a syncdir . die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "new")));
}

TEST_F(PowercutTest, ARemovedFileComesBackWithWhatWasSynced) {
  Write(data() + "/a", "old");
  // The inode number of a removed file is handed out again.
  Run("write a 0 new sync a write a 0 bad remove a create b write b 0 b sync b die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "new")));
}

TEST_F(PowercutTest, DirectoriesAreEntriesToo) {
  Run("mkdir d syncdir . create d/a write d/a 0 x sync d/a mkdir e create e/b syncdir e die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("d", "/")));
}

TEST_F(PowercutTest, ARenamedDirectoryTakesItsSyncedEntriesAlong) {
  Run("mkdir d create d/a write d/a 0 x sync d/a syncdir d create d/b rename d e syncdir . die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("e", "/"), Pair("e/a", "x")));
}

TEST_F(PowercutTest, ALinkIsASecondNameOfOneFile) {
  Run("create a write a 0 x sync a mkdir d link a d/b syncdir d syncdir . write a 0 y sync a die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "y"), Pair("d", "/"), Pair("d/b", "y")));
}

TEST_F(PowercutTest, SizesAreDurableOnlyWithASync) {
  Write(data() + "/a", "123456");
  Write(data() + "/b", "123456");
  Write(data() + "/c", "123456");
  Run("truncate a 3 truncate b 3 sync b truncate b 8 sync b allocate c 9 sync c die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "123456"), Pair("b", std::string("123\0\0\0\0\0", 8)),
                                  Pair("c", std::string("123456\0\0\0", 9))));
}

TEST_F(PowercutTest, WithoutACutAllIsThere) {
  Run("create a write a 0 one mkdir d create d/b append d/b two die");
  const RestoreResult result = CutPower(Cut::kKeep);
  EXPECT_EQ(result.bytes_lost, 0u);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "one"), Pair("d", "/"), Pair("d/b", "two")));
}

TEST_F(PowercutTest, AProcessThatDidNothingLosesNothing) {
  Write(data() + "/a", "old");
  Set("POWERCUT_RULES", "");
  std::filesystem::create_directory(shadow());
  EXPECT_FALSE(CutPower(Cut::kLose).followed);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "old")));
  EXPECT_FALSE(std::filesystem::exists(shadow()));
}

// Over many seeds every sector takes each of its two states, and nothing else ever appears.
TEST_F(PowercutTest, TornFilesMixSectorsOfBothStates) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::filesystem::remove_all(data());
    std::filesystem::create_directory(data());
    Write(data() + "/a", std::string(1024, 'o') + std::string(512, 's'));
    Run("fill a 0 1024 n die");
    CutPower(Cut::kTear512, seed);
    const std::string left = Left().at("a");
    ASSERT_EQ(left.size(), 1536u);
    EXPECT_EQ(left.substr(1024), std::string(512, 's'));
    std::string shape;
    for (const size_t at : {0, 512}) {
      ASSERT_THAT(left.substr(at, 512), AnyOf(std::string(512, 'o'), std::string(512, 'n')));
      shape += left[at];
    }
    seen.insert(shape);
  }
  EXPECT_THAT(seen, UnorderedElementsAre("oo", "on", "no", "nn"));
}

TEST_F(PowercutTest, AFailedSyncDropsWhatItShouldHaveWritten) {
  Set("POWERCUT_RULES", "eio sync a 2");
  const std::string printed =
      Run("create a write a 0 one sync a syncdir . write a 0 two sync a sync a write a 3 x sync a "
          "die");
  EXPECT_EQ(printed, "sync: Input/output error\n");
  EXPECT_EQ(Log(), "struck eio sync a 2: sync a\n");
  CutPower(Cut::kLose);
  // The later syncs succeed, and carry only what was written after the failed one.
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "onex")));
}

// The process ends and comes back while the machine goes on: dirty pages are still dirty, but
// those of a failed sync are clean for ever.
TEST_F(PowercutTest, AnotherProcessGoesOnWithTheSameShadow) {
  Set("POWERCUT_RULES", "eio sync b 1");
  Run("create a write a 0 one create b write b 0 bad sync b syncdir . die");
  Set("POWERCUT_RULES", "");
  Run("sync a sync b create c write c 0 c sync c syncdir . die");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(),
              ElementsAre(Pair("a", "one"), Pair("b", std::string(3, '\0')), Pair("c", "c")));
}

TEST_F(PowercutTest, ALyingSyncLosesEverything) {
  Set("POWERCUT_RULES", "lie sync * *");
  EXPECT_EQ(Run("create a write a 0 one sync a syncdir . die"), "");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "")));
}

TEST_F(PowercutTest, ACutTakesHalfAWriteOrAWholeSync) {
  Set("POWERCUT_RULES", "cut write a 2");
  Run("create a write a 0 one write a 3 twelve write a 9 never");
  EXPECT_TRUE(killed());
  EXPECT_EQ(Left().at("a"), "onetwe");
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre());

  Set("POWERCUT_RULES", "cut-after sync a 1");
  Run("create a syncdir . write a 0 one sync a write a 3 never");
  EXPECT_TRUE(killed());
  CutPower(Cut::kLose);
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "one")));
}

TEST_F(PowercutTest, OtherCallsFailAsToldAndAFileOfRulesIsReadAgain) {
  Set("POWERCUT_CONTROL", control());
  Write(control(),
        "enospc write * * 3; eio read b 1; eio rename c 1; eio dirsync . 1; "
        "enospc create f 1");
  EXPECT_EQ(Run("create a write a 0 one write a 3 x create b read b read b rename b c syncdir . "
                "create f create f"),
            "write: No space left on device\nread: Input/output error\n"
            "rename: Input/output error\nsyncdir: Input/output error\n"
            "create: No space left on device\n");
  std::filesystem::remove(control());
  EXPECT_EQ(Run("write a 0 more read b"), "");
}

// Programs decide by the error what to do: a directory may be there already.
TEST_F(PowercutTest, ErrorsOfTheSystemComeThrough) {
  const std::string script =
      "mkdir d mkdir d sync d/none create no/f rename x y link x y remove x rmdir x truncate d 1";
  const std::string printed = Run(script);
  EXPECT_THAT(printed, HasSubstr("mkdir: File exists"));
  std::filesystem::remove_all(data());
  std::filesystem::create_directory(data());
  Set("LD_PRELOAD", "");
  EXPECT_EQ(printed, Run(script));
}

TEST_F(PowercutTest, FaultsWorkWithoutAShadow) {
  Set("POWERCUT_SHADOW", "");
  Set("POWERCUT_RULES", "eio sync a 1");
  EXPECT_EQ(Run("create a write a 0 one sync a sync a syncdir ."), "sync: Input/output error\n");
  EXPECT_THAT(Left(), ElementsAre(Pair("a", "one")));
}

TEST_F(PowercutTest, SitesOfSyncsAreListedAndCanBeStruck) {
  Set("POWERCUT_SITES", "1");
  Run("create a sync a sync a fsync a");
  std::istringstream lines(Log());
  std::vector<std::string> sites;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_THAT(line, AllOf(StartsWith("site "), HasSubstr(" sync a "), HasSubstr("probe+0x")));
    sites.push_back(line.substr(5, 16));
  }
  ASSERT_EQ(sites.size(), 2u);
  Set("POWERCUT_SITES", "0");
  Set("POWERCUT_RULES", "eio sync @" + sites[1] + " 1");
  EXPECT_EQ(Run("sync a fsync a"), "fsync: Input/output error\n");
}

TEST_F(PowercutTest, ManyThreadsLoseNothingThatWasSynced) {
  Run("create a syncdir . threads a 200");
  const std::string before = Left().at("a");
  ASSERT_EQ(before.size(), 80000u);
  CutPower(Cut::kLose);
  EXPECT_EQ(Left().at("a"), before);
}

TEST_F(PowercutTest, WhatCannotBeFollowedEndsTheProcess) {
  EXPECT_THAT(Run("mkdir d create a rename a d/a"), HasSubstr("powercut: a rename between"));
  Set("POWERCUT_RULES", "nonsense");
  EXPECT_THAT(Run("create a"), HasSubstr("powercut: POWERCUT_RULES: 'nonsense' is not"));
}

}  // namespace
}  // namespace gavel::powercut
