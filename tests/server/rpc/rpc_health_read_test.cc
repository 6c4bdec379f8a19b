// The read behind /health is one that fails when the member cannot serve.
#include "server/rpc/health_read.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

#include "tests/server/rpc/test_gate.h"

namespace gavel::testing {
namespace {

using server::GateResult;

// What it said; nothing if it has not come to an end.
std::optional<std::string> Read(TestGate& gate, bool serializable) {
  std::optional<std::string> said;
  server::ReadForHealth(gate, serializable, [&said](std::string error) { said = error; });
  return said;
}

TEST(HealthReadTest, AMemberThatServesIsHealthy) {
  TestGate gate;
  EXPECT_EQ(Read(gate, false), "");
  EXPECT_EQ(gate.reads(), 1);
  EXPECT_EQ(Read(gate, true), "");
  EXPECT_EQ(gate.reads(), 1);
  gate.Fill("k", "v");
  EXPECT_EQ(Read(gate, true), "");
}

TEST(HealthReadTest, WhatTheGateSaysIsPassedOn) {
  TestGate gate;
  gate.FailReads(GateResult::kTimedOut);
  EXPECT_EQ(Read(gate, false), "etcdserver: request timed out");
  EXPECT_EQ(Read(gate, true), "");
}

// A damaged row stands for a disk that cannot be read.
TEST(HealthReadTest, AStateThatCannotBeReadIsUnhealthy) {
  TestGate gate;
  gate.Fill("k", "v");
  gate.DamageVersions();
  for (const bool serializable : {false, true}) {
    const std::optional<std::string> said = Read(gate, serializable);
    ASSERT_TRUE(said.has_value());
    EXPECT_NE(said->find("DATA_LOSS"), std::string::npos) << *said;
  }
}

// The read is real: it waits for the thread that reads.
TEST(HealthReadTest, WhoCannotReadDoesNotAnswer) {
  TestGate gate;
  gate.HoldBackground(true);
  EXPECT_FALSE(Read(gate, false).has_value());
  EXPECT_FALSE(Read(gate, true).has_value());
}

}  // namespace
}  // namespace gavel::testing
