// What the log says of members: who came, went, or changed, by id, name and address.
#include "server/node/configuration_teller.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gavel::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Lines final : public Logger {
 public:
  void Write(LogLevel, std::string_view message, std::initializer_list<LogField> fields) override {
    std::string line(message);
    for (const LogField& field : fields) line += " " + field.value;
    lines_.push_back(std::move(line));
  }
  void Flush() override {}
  std::vector<std::string> Take() { return std::exchange(lines_, {}); }

 private:
  std::vector<std::string> lines_;
};

class ConfigurationTellerTest : public ::testing::Test {
 protected:
  ConfigurationTellerTest() {
    Add(0xa, true);
    teller_.Tell(now_);
    EXPECT_THAT(lines_.Take(), ElementsAre("configuration in force a  1"));
  }
  void Add(uint64_t id, bool voter) {
    now_.members.push_back({raft::NodeId(id), {"http://m" + std::to_string(id)}});
    if (voter) now_.voters.push_back(raft::NodeId(id));
  }
  std::vector<std::string> Tell() {
    teller_.Tell(now_);
    return lines_.Take();
  }

  Lines lines_;
  raft::Configuration now_;
  ConfigurationTeller teller_{
      lines_, [](raft::NodeId id) { return id.value() == 0xa ? std::string("first") : ""; }};
};

TEST_F(ConfigurationTellerTest, TheSameIsNotToldTwice) { EXPECT_THAT(Tell(), IsEmpty()); }

TEST_F(ConfigurationTellerTest, WhoComesIsPromotedMovesAndGoesIsNamed) {
  Add(0xb, false);
  EXPECT_THAT(Tell(),
              ElementsAre("member added b  http://m11 learner", "configuration in force a  2"));
  now_.members[1].peer_urls = {"http://elsewhere"};
  EXPECT_THAT(Tell(), ElementsAre("member's peer URLs changed b  http://elsewhere http://m11",
                                  "configuration in force a  2"));
  now_.voters.push_back(raft::NodeId(0xb));
  EXPECT_THAT(Tell(), ElementsAre("member promoted b  http://elsewhere voter",
                                  "configuration in force a,b  2"));
  now_.members.erase(now_.members.begin());
  now_.voters.erase(now_.voters.begin());
  EXPECT_THAT(Tell(), ElementsAre("member removed a first http://m10 voter",
                                  "configuration in force b  1"));
}

// A voter that goes through a joint configuration is there until the second step.
TEST_F(ConfigurationTellerTest, AJointConfigurationTellsBothVoters) {
  Add(0xb, true);
  now_.outgoing_voters = {raft::NodeId(0xa)};
  EXPECT_THAT(Tell(),
              ElementsAre("member added b  http://m11 voter", "configuration in force a,b a 2"));
  now_.outgoing_voters.clear();
  EXPECT_THAT(Tell(), ElementsAre("configuration in force a,b  2"));
}

}  // namespace
}  // namespace gavel::server
