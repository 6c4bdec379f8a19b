// Steps that pause for a full writer are woken, whichever comes first.
#include "server/rpc/step_pause.h"

#include "gtest/gtest.h"

namespace gavel::testing {
namespace {

using server::StepPause;

TEST(StepPauseTest, AWakeRunsThemAgainOnce) {
  StepPause pause;
  EXPECT_TRUE(pause.Pause());
  EXPECT_TRUE(pause.Wake());
  EXPECT_FALSE(pause.Wake()) << "they run already";
}

TEST(StepPauseTest, AWakeBeforeThePauseIsNotLost) {
  StepPause pause;
  EXPECT_FALSE(pause.Wake()) << "they run";
  EXPECT_FALSE(pause.Pause()) << "they go on";
  EXPECT_TRUE(pause.Pause()) << "one wake, one turn";
}

TEST(StepPauseTest, WhatIsCanceledStaysSo) {
  StepPause pause;
  EXPECT_FALSE(pause.canceled());
  pause.Cancel();
  EXPECT_TRUE(pause.canceled());
}

}  // namespace
}  // namespace gavel::testing
