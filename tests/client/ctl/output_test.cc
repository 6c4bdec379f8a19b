#include "client/ctl/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

// What is written to a pipe, read back.
class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(pipe(out_), 0);
    ASSERT_EQ(pipe(err_), 0);
  }
  void TearDown() override {
    for (const int fd : {out_[0], out_[1], err_[0], err_[1]}) close(fd);
  }

  static std::string Written(int fd) {
    char buffer[4096];
    const ssize_t count = read(fd, buffer, sizeof buffer);
    return std::string(buffer, count < 0 ? 0 : static_cast<size_t>(count));
  }

  int out_[2];
  int err_[2];
};

TEST_F(OutputTest, BytesLeaveAsTheyAreButOnATerminal) {
  const std::string bytes("\x1b[31m\0\xff\n", 8);
  const Output pipe(out_[1], err_[1], {});
  EXPECT_EQ(pipe.Shown(bytes, true), bytes);
  EXPECT_EQ(pipe.Paint(Colour::kRed, "x"), "x");
  const Output terminal(out_[1], err_[1], {.out_is_terminal = true});
  EXPECT_EQ(terminal.Shown(bytes, true), "\\x1b[31m\\x00\\xff\n");
  EXPECT_EQ(terminal.Paint(Colour::kRed, "x"), "\x1b[31mx\x1b[0m");
  const Output plain(out_[1], err_[1], {.out_is_terminal = true, .coloured = false});
  EXPECT_EQ(plain.Paint(Colour::kRed, "x"), "x");
}

TEST_F(OutputTest, ReportsMessageAndHint) {
  Output output(out_[1], err_[1], {});
  output.Report({ExitCode::kError, "it failed", "Try again."});
  EXPECT_EQ(Written(err_[0]), "Error: it failed\nTry again.\n");
}

// What a server sends must not drive the terminal either.
TEST_F(OutputTest, MessagesAreSafeOnATerminal) {
  Output output(out_[1], err_[1], {.err_is_terminal = true, .coloured = false});
  output.Report({ExitCode::kError, "bad \x1b[2J", ""});
  EXPECT_EQ(Written(err_[0]), "Error: bad \\x1b[2J\n");
}

TEST_F(OutputTest, AFailedWriteIsKept) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  Output output(full, err_[1], {});
  output.Line("x");
  EXPECT_FALSE(output.failed());
  output.Flush();
  ASSERT_TRUE(output.failed());
  EXPECT_EQ(output.failed()->code, ExitCode::kIo);
  close(full);
}

}  // namespace
}  // namespace gavel::client::ctl
