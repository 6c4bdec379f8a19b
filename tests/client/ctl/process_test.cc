#include "client/ctl/process.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using std::chrono::milliseconds;

CommandEnd RunScript(const std::string& script, const Variables& variables = {}) {
  return StartedCommand({"sh", "-c", script}, variables).Wait();
}

// Its end is told as Go tells it, and counted as a shell counts it.
TEST(StartedCommandTest, Ends) {
  EXPECT_TRUE(RunScript("exit 0").ok());
  EXPECT_EQ(RunScript("exit 0").code(), 0);
  EXPECT_EQ(RunScript("exit 7").code(), 7);
  EXPECT_EQ(RunScript("exit 7").Describe(), "exit status 7");
  EXPECT_EQ(RunScript("kill -KILL $$").code(), 137);
  EXPECT_EQ(RunScript("kill -KILL $$").Describe(), "signal: killed");
  EXPECT_EQ(RunScript("exit 7").Hint(), "");
}

// What cannot be started says why, and what to try.
TEST(StartedCommandTest, NotStarted) {
  const CommandEnd missing = StartedCommand({"no such program"}, {}).Wait();
  EXPECT_FALSE(missing.ok());
  EXPECT_EQ(missing.code(), 1);
  EXPECT_EQ(missing.Describe(), "exec: \"no such program\": executable file not found in $PATH");
  EXPECT_NE(missing.Hint(), "");
  EXPECT_EQ(StartedCommand({"/"}, {}).Wait().Describe(), "fork/exec /: permission denied");
}

// It has our variables, and those that are given win over them; there is nothing to read.
TEST(StartedCommandTest, HasVariablesAndNoInput) {
  setenv("GAVEL_TEST_KEPT", "kept", 1);
  setenv("GAVEL_TEST_REPLACED", "inherited", 1);
  EXPECT_TRUE(
      RunScript("test \"$GAVEL_TEST_KEPT $GAVEL_TEST_REPLACED $GAVEL_TEST_NEW\" = 'kept ours new'"
                " && test -z \"$(cat)\"",
                {{"GAVEL_TEST_REPLACED", "ours"}, {"GAVEL_TEST_NEW", "new"}})
          .ok());
}

// A signal reaches it while it runs, also while somebody waits, and nobody after its end.
TEST(StartedCommandTest, TakesSignals) {
  StartedCommand command({"sleep", "100"}, {});
  std::thread sender([&] {
    std::this_thread::sleep_for(milliseconds(50));
    command.Send(SIGTERM);
  });
  EXPECT_EQ(command.Wait().code(), 128 + SIGTERM);
  sender.join();
  command.Send(SIGTERM);
  EXPECT_EQ(command.Wait().code(), 128 + SIGTERM);
  StartedCommand never({"no-such-program"}, {});
  never.Send(SIGTERM);
  EXPECT_EQ(never.Wait().code(), 1);
}

// What is blocked here is not blocked there.
TEST(InterruptTest, AsksForAStop) {
  Interrupt interrupt;
  EXPECT_FALSE(interrupt.token().stop_requested());
  kill(getpid(), SIGTERM);
  while (!interrupt.token().stop_requested()) std::this_thread::yield();
  EXPECT_EQ(RunScript("kill -TERM $$").code(), 128 + SIGTERM);
}

// One that comes when all is done does not end the process.
TEST(InterruptTest, TakesWhatComesAtTheEnd) {
  for (int i = 0; i < 1'000; ++i) {
    const Interrupt interrupt;
    kill(getpid(), SIGTERM);
  }
}

// Each signal reaches the command, and none ends this process.
TEST(InterruptTest, PassesSignalsOn) {
  Interrupt interrupt;
  StartedCommand command(
      {"sh", "-c", "trap 'kill -TERM $PPID' INT; kill -INT $PPID; while :; do sleep 0.01; done"},
      {});
  interrupt.PassOnTo(&command);
  EXPECT_EQ(command.Wait().code(), 128 + SIGTERM);
  interrupt.PassOnTo(nullptr);
}

// One that came before the command was started is not lost.
TEST(InterruptTest, PassesOnWhatCameBefore) {
  Interrupt interrupt;
  kill(getpid(), SIGINT);
  while (!interrupt.token().stop_requested()) std::this_thread::yield();
  StartedCommand command({"sleep", "100"}, {});
  interrupt.PassOnTo(&command);
  EXPECT_EQ(command.Wait().code(), 128 + SIGINT);
  interrupt.PassOnTo(nullptr);
}

// Without a command, the second signal ends the process.
TEST(InterruptDeathTest, SecondSignalEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Interrupt interrupt;
        kill(getpid(), SIGINT);
        while (!interrupt.token().stop_requested()) std::this_thread::yield();
        kill(getpid(), SIGTERM);
        std::this_thread::sleep_for(std::chrono::seconds(60));
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace gavel::client::ctl
