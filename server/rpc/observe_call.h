// v3electionpb.Election.Observe: tells who leads, and what leaders proclaim.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/v3electionpb/election.pb.h"
#include "server/rpc/recipe_call.h"
#include "server/watch/watch_hub.h"
#include "storage/mvcc/key_change.h"

namespace gavel::server {

// Reads the leader, then follows its key until it is gone, then reads again; without a leader it
// follows the whole line until somebody stands in it. While the client does not read, nothing is
// watched: what it has missed comes from history.
class ObserveCall final : public RecipeCall {
 public:
  ObserveCall(const ServiceSurroundings& surroundings, CallContext context,
              std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

  bool EndsByItself() const override { return false; }

 private:
  void Begin(const std::string& bytes) override;
  void Abandon() override;
  void Resume() override;

  void FindLeader();
  void Follow();
  void OnNews(uint64_t watch, const WatchNews& news);
  void OnChange(const std::vector<const storage::KeyChange*>& changes, size_t i);
  void Tell(mvccpb::KeyValue kv, storage::Revision revision);

  std::string name_;
  std::string leader_;          // Its key; empty: nobody leads.
  storage::Revision next_ = 0;  // Everything before it has been told.
  std::unique_ptr<LocalWatch> watch_;
  uint64_t watches_ = 0;  // The number of the newest watch; what older ones tell is ignored.
  bool full_ = false;
};

}  // namespace gavel::server
