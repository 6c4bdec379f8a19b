// What the tests of recipes share: a cluster, and the examples as holders that can be killed.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/client/child_process.h"
#include "tests/client/client_cluster_support.h"

namespace gavel::client::testing {

class RecipesTest : public ClientClusterTest {
 protected:
  // host:port,host:port
  static std::string Endpoints() {
    std::string endpoints;
    for (const std::string& target : cluster_->targets()) {
      endpoints += (endpoints.empty() ? "" : ",") + target;
    }
    return endpoints;
  }

  // A program of client/examples with these arguments after the endpoints.
  static std::unique_ptr<ChildProcess> Example(const std::string& name,
                                               const std::vector<std::string>& arguments);

  static Session Open(const Client& client, std::chrono::seconds ttl = std::chrono::seconds(60)) {
    Result<Session> session = client.lease().Open({.ttl = ttl});
    EXPECT_TRUE(session.ok()) << session.status().ToString();
    return *std::move(session);
  }

  // Keys that begin so.
  static int64_t Count(const Client& client, const std::string& prefix) {
    const Result<RangeResponse> range =
        client.kv().Range({.range = KeyRange::Prefix(prefix), .count_only = true});
    EXPECT_TRUE(range.ok()) << range.status().ToString();
    return range.ok() ? range->count : -1;
  }
};

// The number that ends a line such as "held 17"; 0 if the line begins otherwise.
inline int64_t NumberAfter(const std::string& word, const std::string& line) {
  if (!line.starts_with(word + " ")) {
    ADD_FAILURE() << "not \"" << word << " ...\" but \"" << line << "\"";
    return 0;
  }
  return std::stoll(line.substr(line.rfind(' ') + 1));
}

}  // namespace gavel::client::testing
