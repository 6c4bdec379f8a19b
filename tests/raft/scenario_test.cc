// Runs every file of tests/raft/scenarios and compares its transcript. With --rewrite the files
// are rewritten instead; the diff is then what is reviewed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/raft/scenario.h"

namespace gavel::raft {
namespace {

bool rewrite = false;

std::vector<std::string> ScenarioFiles() {
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator("tests/raft/scenarios")) {
    if (file.path().extension() == ".txt") files.push_back(file.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, TranscriptIsAsReviewed) {
  const std::string text = ReadFile(GetParam());
  ASSERT_EQ(text.substr(0, 2), "# ") << "a scenario begins with its story";
  const std::string result = RunScenario(text);
  if (rewrite) {
    std::ofstream(GetParam()) << result;
  } else {
    EXPECT_EQ(result, text) << "run raft_scenario_test --rewrite and review the difference";
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, testing::ValuesIn(ScenarioFiles()),
                         [](const testing::TestParamInfo<std::string>& file) {
                           std::string name = std::filesystem::path(file.param).stem().string();
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

TEST(ScenarioFilesTest, ThereAreAtLeastFortyScenarios) { EXPECT_GE(ScenarioFiles().size(), 40u); }

}  // namespace
}  // namespace gavel::raft

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) gavel::raft::rewrite |= std::string(argv[i]) == "--rewrite";
  return RUN_ALL_TESTS();
}
