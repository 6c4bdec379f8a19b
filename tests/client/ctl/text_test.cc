#include "client/ctl/text.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace gavel::client::ctl {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(CtlTextTest, QuoteWritesWhatGoWrites) {
  EXPECT_EQ(Quote("plain"), "\"plain\"");
  EXPECT_EQ(Quote("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(Quote("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
  EXPECT_EQ(Quote(std::string("\0\x1f\x7f", 3)), "\"\\x00\\x1f\\x7f\"");
  EXPECT_EQ(Quote("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
  EXPECT_EQ(Quote("\xff\xc3"), "\"\\xff\\xc3\"");
  // Invisible, and able to turn what stands beside it.
  EXPECT_EQ(Quote("\xe2\x80\xae"), "\"\\u202e\"");
  EXPECT_EQ(Quote("\xf3\xb0\x80\x80"), "\"\\U000f0000\"");
}

// Whatever bytes there are, quoting loses none of them.
TEST(CtlTextTest, UnquoteUndoesQuote) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& text :
       {std::string(), std::string("x"), all, all + all,
        std::string("\xe2\x80\xa8\xf0\x9f\x98\x80"), std::string("\"'`\\"),
        std::string("\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80")}) {
    size_t position = 0;
    const std::string quoted = Quote(text);
    EXPECT_EQ(Unquote(quoted, &position), text) << quoted;
    EXPECT_EQ(position, quoted.size());
  }
}

TEST(CtlTextTest, UnquoteTakesOnlyWholeTexts) {
  size_t position = 0;
  EXPECT_EQ(Unquote("`raw\\n` rest", &position), "raw\\n");
  EXPECT_EQ(position, 7u);
  position = 0;
  EXPECT_EQ(Unquote("\"\\101\\u00fc\"", &position), "A\xc3\xbc");
  for (const char* text : {"", "x", "\"x", "\"x\\", "\"\\q\"", "\"\\x1\"", "\"\\u12\"",
                           "\"\\ud800\"", "\"\\400\"", "`x", "\"\\U00110000\""}) {
    position = 0;
    EXPECT_EQ(Unquote(text, &position), std::nullopt) << text;
    EXPECT_EQ(position, 0u);
  }
}

// A terminal must not be driven by what is stored.
TEST(CtlTextTest, SafeTextEscapesWhatDrivesTerminals) {
  EXPECT_EQ(SafeText("a\x1b[31mb", true), "a\\x1b[31mb");
  EXPECT_EQ(SafeText(std::string("\0", 1), true), "\\x00");
  EXPECT_EQ(SafeText("line\nnext\t", true), "line\nnext\t");
  EXPECT_EQ(SafeText("line\nnext\t", false), "line\\x0anext\\x09");
  EXPECT_EQ(SafeText("\r\xff\xc2\x9b", true), "\\x0d\\xff\\u009b");
  EXPECT_EQ(SafeText("\xe2\x80\xae", true), "\\u202e");
  EXPECT_EQ(SafeText("gr\xc3\xbcn \"x\"", true), "gr\xc3\xbcn \"x\"");
}

TEST(CtlTextTest, Base64GoesBothWays) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foob"), "Zm9vYg==");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(FromBase64(Base64(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  for (const char* text : {"Z", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zg=g", "Z g=", "Z-g="}) {
    EXPECT_EQ(FromBase64(text), std::nullopt) << text;
  }
}

TEST(CtlTextTest, ParsesDurationsAsGoWritesThem) {
  EXPECT_EQ(ParseDuration("5s"), milliseconds(5000));
  EXPECT_EQ(ParseDuration("1m30s"), milliseconds(90'000));
  EXPECT_EQ(ParseDuration("1.5s"), milliseconds(1500));
  EXPECT_EQ(ParseDuration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(ParseDuration("200ms"), milliseconds(200));
  EXPECT_EQ(ParseDuration("1500us"), microseconds(1500));
  EXPECT_EQ(ParseDuration("1ns"), nanoseconds(1));
  EXPECT_EQ(ParseDuration("0.1ns"), nanoseconds(1));
  EXPECT_EQ(ParseDuration("0"), milliseconds(0));
  for (const char* text : {"", "5", "s", "-1s", "5 s", "1s5", "inf", "1e3s", "99999999h", "5d"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(CtlTextTest, FormatsDurationsAsGoDoes) {
  EXPECT_EQ(FormatDuration(microseconds(0)), "0s");
  EXPECT_EQ(FormatDuration(microseconds(12)), "12\xc2\xb5s");
  EXPECT_EQ(FormatDuration(microseconds(1500)), "1.5ms");
  EXPECT_EQ(FormatDuration(microseconds(3053)), "3.053ms");
  EXPECT_EQ(FormatDuration(microseconds(2'000'000)), "2s");
  EXPECT_EQ(FormatDuration(microseconds(5'000'646)), "5.000646s");
  EXPECT_EQ(FormatDuration(microseconds(61'500'000)), "1m1.5s");
  EXPECT_EQ(FormatDuration(microseconds(3'661'000'000)), "1h1m1s");
}

TEST(CtlTextTest, HumanBytesCountsInThousands) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(9), "9 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1000), "1.0 kB");
  EXPECT_EQ(HumanBytes(20480), "20 kB");
  EXPECT_EQ(HumanBytes(2147483648), "2.1 GB");
  EXPECT_EQ(HumanBytes(~uint64_t{0}), "18 EB");
}

TEST(CtlTextTest, ParseIntegerRefusesWhatGoRefuses) {
  EXPECT_EQ(ParseInteger("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseInteger("+7"), 7);
  EXPECT_EQ(ParseInteger("7fffffffffffffff", 16), INT64_MAX);
  for (const char* text : {"", "x", "1x", " 1", "1 ", "9223372036854775808", "+-1", "--1", "0x1"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace gavel::client::ctl
