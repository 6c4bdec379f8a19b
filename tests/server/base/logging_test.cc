// The shape of log lines, on a file.
#include "server/logging.h"

#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LoggingTest : public ::testing::Test {
 protected:
  ~LoggingTest() override { std::remove(file_.c_str()); }

  std::unique_ptr<Logger> Open(bool json, LogLevel level = LogLevel::kInfo) {
    absl::StatusOr<std::unique_ptr<Logger>> logger =
        Logger::Create({.level = level, .json = json, .outputs = {file_}});
    EXPECT_OK(logger);
    return *std::move(logger);
  }

  std::string Written() {
    std::stringstream text;
    text << std::ifstream(file_).rdbuf();
    return text.str();
  }

  const std::string file_ = ::testing::TempDir() + "/" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                            ".log";
};

TEST_F(LoggingTest, AJsonLineHasEtcdsShape) {
  Open(true)->Warn("slow disk", {{"took", "1.5s"}, {"bytes", 7}, {"synced", true}});
  const nlohmann::json line = nlohmann::json::parse(Written());
  EXPECT_EQ(line["level"], "warn");
  EXPECT_EQ(line["msg"], "slow disk");
  EXPECT_EQ(line["took"], "1.5s");
  EXPECT_EQ(line["bytes"], 7);
  EXPECT_EQ(line["synced"], true);
  EXPECT_THAT(line["ts"].get<std::string>(),
              MatchesRegex("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9:]*\\.[0-9][0-9][0-9]Z"));
}

TEST_F(LoggingTest, WhateverAFieldHoldsAJsonLineStaysOneValidLine) {
  Open(true)->Info(
      "odd", {{"text", "a\n\"b\"\x01\xff"}, {"number", std::numeric_limits<double>::quiet_NaN()}});
  const std::string written = Written();
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 1);
  EXPECT_FALSE(nlohmann::json::parse(written, nullptr, false).is_discarded()) << written;
}

TEST_F(LoggingTest, AConsoleLineIsForPeople) {
  Open(false)->Error("disk failed", {{"file", "/a b/c"}, {"offset", 12}, {"empty", ""}});
  EXPECT_THAT(Written(), HasSubstr("Z error disk failed  file=\"/a b/c\" offset=12 empty=\"\"\n"));
}

TEST_F(LoggingTest, AFieldCannotForgeAConsoleLine) {
  Open(false)->Info("got\nmessage", {{"from", "x\n2026-01-01 error fake"}});
  const std::string written = Written();
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 1) << written;
}

TEST_F(LoggingTest, LinesBelowTheLevelAreDropped) {
  std::unique_ptr<Logger> logger = Open(true, LogLevel::kWarn);
  logger->Debug("no");
  logger->Info("no");
  EXPECT_EQ(Written(), "");
  logger->Warn("yes");
  logger->Error("yes");
  const std::string written = Written();
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2);
}

TEST_F(LoggingTest, AFileThatCannotBeOpenedIsNamed) {
  EXPECT_THAT(Logger::Create({.outputs = {"/proc/no/such.log"}}),
              ::gavel::testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("/proc/no/such.log")));
}

TEST(NullLoggerTest, DropsEverything) {
  std::unique_ptr<Logger> logger = NullLogger();
  logger->Error("nobody reads this", {{"a", 1}});
  logger->Flush();
}

}  // namespace
}  // namespace gavel::server
