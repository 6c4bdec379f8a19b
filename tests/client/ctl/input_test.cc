#include "client/ctl/input.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void ExpectRefused(const Failure& failure, const std::string& name, size_t bytes_max) {
  EXPECT_EQ(failure.code, ExitCode::kInvalidInput);
  EXPECT_THAT(failure.message, AllOf(HasSubstr(name), HasSubstr(std::to_string(bytes_max)),
                                     HasSubstr("--max-input-bytes")));
  EXPECT_THAT(failure.hint, HasSubstr("--max-input-bytes"));
}

class TextFile {
 public:
  explicit TextFile(size_t size) { std::ofstream(path_) << std::string(size, 'x'); }
  ~TextFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_ = testing::TempDir() + "/input_test." +
                            testing::UnitTest::GetInstance()->current_test_info()->name();
};

// What has as many bytes as the limit is read whole, across the chunks in which it is read.
TEST(InputTest, AFileUpToTheLimitIsRead) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64 << 10}, size_t{(64 << 10) + 1}}) {
    const TextFile file(size);
    const Expected<std::string> read = ReadFile(file.path(), size);
    ASSERT_TRUE(read.ok()) << size << ": " << read.failure().message;
    EXPECT_EQ(*read, std::string(size, 'x'));
  }
}

// One byte more than the limit is refused by the limit's name.
TEST(InputTest, AFileBeyondTheLimitIsRefused) {
  for (const size_t size : {size_t{1}, size_t{64 << 10}, size_t{(64 << 10) + 1}}) {
    const TextFile file(size);
    const Expected<std::string> read = ReadFile(file.path(), size - 1);
    ASSERT_FALSE(read.ok()) << size;
    ExpectRefused(read.failure(), file.path(), size - 1);
  }
}

TEST(InputTest, AnEndlessFileEnds) {
  const Expected<std::string> read = ReadFile("/dev/zero", 1 << 20);
  ASSERT_FALSE(read.ok());
  ExpectRefused(read.failure(), "/dev/zero", 1 << 20);
}

TEST(InputTest, AFileThatIsNotThereIsNamed) {
  const Expected<std::string> read = ReadFile("/nowhere/file", 10);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, ExitCode::kIo);
  EXPECT_THAT(read.failure().message, HasSubstr("/nowhere/file"));
  EXPECT_THAT(read.failure().hint, HasSubstr("is not there"));
}

TEST(InputTest, AFolderIsNoFile) {
  const Expected<std::string> read = ReadFile("/", 10);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, ExitCode::kIo);
  EXPECT_THAT(read.failure().hint, HasSubstr("name a file in it"));
}

// Standard input is the given text as long as this lives.
class Typed {
 public:
  explicit Typed(const std::string& text) : text_(text), before_(std::cin.rdbuf(text_.rdbuf())) {}
  ~Typed() { std::cin.rdbuf(before_); }

 private:
  std::istringstream text_;
  std::streambuf* const before_;
};

TEST(InputTest, LinesEndWithTheInput) {
  const Typed typed("a\n\nbc\nrest");
  InputLines lines(100);
  for (const std::string expected : {"a", "", "bc"}) {
    const Expected<std::optional<std::string>> line = lines.Next();
    ASSERT_TRUE(line.ok() && *line);
    EXPECT_EQ(**line, expected);
  }
  const Expected<std::optional<std::string>> end = lines.Next();
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(*end);
  EXPECT_EQ(lines.rest(), "rest");
}

// All lines count together, so that many short ones meet the limit as one long line does.
TEST(InputTest, LinesBeyondTheLimitAreRefused) {
  for (const std::string text : {"abcdef", "ab\ncdef\n", "a\nb\nc\nd\n"}) {
    const Typed typed(text);
    InputLines lines(5);
    Expected<std::optional<std::string>> line = lines.Next();
    for (int i = 0; i < 5 && line.ok(); ++i) line = lines.Next();
    ASSERT_FALSE(line.ok()) << text;
    ExpectRefused(line.failure(), "standard input", 5);
  }
}

// Whoever has done with a line may read on for ever.
TEST(InputTest, AfterARestartLinesCountFromZero) {
  const Typed typed("abcd\nefgh\nijkl\n");
  InputLines lines(5);
  for (int i = 0; i < 3; ++i) {
    const Expected<std::optional<std::string>> line = lines.Next();
    ASSERT_TRUE(line.ok() && *line) << i;
    lines.Restart();
  }
}

}  // namespace
}  // namespace gavel::client::ctl
