// How durations, truth values and numbers are read.
#include "server/options_values.h"

#include <limits>

#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

using ::gavel::testing::IsOkAndHolds;
using ::gavel::testing::StatusIs;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(OptionsValuesTest, DurationsAreGos) {
  EXPECT_THAT(ParseGoDuration("100ms"), IsOkAndHolds(100 * kNsPerMs));
  EXPECT_THAT(ParseGoDuration("1s"), IsOkAndHolds(kNsPerSecond));
  EXPECT_THAT(ParseGoDuration("1.5s"), IsOkAndHolds(1500 * kNsPerMs));
  EXPECT_THAT(ParseGoDuration("2h"), IsOkAndHolds(7200 * kNsPerSecond));
  EXPECT_THAT(ParseGoDuration("1h2m3s4ms"), IsOkAndHolds(3723 * kNsPerSecond + 4 * kNsPerMs));
  EXPECT_THAT(ParseGoDuration("7µs"), IsOkAndHolds(7000));
  EXPECT_THAT(ParseGoDuration("0"), IsOkAndHolds(0));
}

TEST(OptionsValuesTest, DurationsNeedTheirUnit) {
  for (const char* text : {"", "100", "s", "1x", "-1s", "1s2", "1..5s", "1 s", "400000h9999999h"}) {
    EXPECT_THAT(ParseGoDuration(text), StatusIs(kInvalid, HasSubstr("invalid duration"))) << text;
  }
}

TEST(OptionsValuesTest, TruthValuesAreGos) {
  EXPECT_THAT(ParseGoBool("T"), IsOkAndHolds(true));
  EXPECT_THAT(ParseGoBool("1"), IsOkAndHolds(true));
  EXPECT_THAT(ParseGoBool("False"), IsOkAndHolds(false));
  EXPECT_THAT(ParseGoBool("yes"), StatusIs(kInvalid));
}

TEST(OptionsValuesTest, NumbersAreCheckedAgainstTheirBounds) {
  EXPECT_THAT(ParseInteger("128", 1, 1000), IsOkAndHolds(128));
  EXPECT_THAT(ParseInteger("0x10", 1, 1000), IsOkAndHolds(16));
  EXPECT_THAT(ParseInteger("-1", -5, 5), IsOkAndHolds(-1));
  EXPECT_THAT(ParseInteger("0", 1, 1000), StatusIs(kInvalid, HasSubstr("between 1 and 1000")));
  EXPECT_THAT(ParseInteger("12a", 1, 1000), StatusIs(kInvalid, HasSubstr("invalid number")));
  EXPECT_THAT(ParseInteger("", 1, 1000), StatusIs(kInvalid));
  EXPECT_THAT(ParseInteger("99999999999999999999", 0, std::numeric_limits<int64_t>::max()),
              StatusIs(kInvalid, HasSubstr("out of range")));
}

}  // namespace
}  // namespace gavel::server
