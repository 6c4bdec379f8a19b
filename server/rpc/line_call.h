// A call that takes a place in a line and waits until it is the first: Lock and Campaign.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/rpc/call_guard.h"
#include "server/rpc/key_line.h"
#include "server/rpc/recipe_call.h"

namespace gavel::server {

// Adds a method that is served by a recipe call of type `Call`.
template <class Call>
void AddRecipe(const ServiceSurroundings& surroundings, const CallGuard& guard, Router& router,
               const char* name, StreamShape shape = StreamShape::kUnary) {
  router.AddStream(name,
                   guard.Stream(
                       CallGuard::Learner::kRefuses,
                       [surroundings](CallContext context, std::shared_ptr<StreamWriter> writer) {
                         return std::make_shared<Call>(surroundings, std::move(context),
                                                       std::move(writer));
                       },
                       shape),
                   shape);
}

class LineCall : public RecipeCall {
 public:
  LineCall(const ServiceSurroundings& surroundings, CallContext context,
           std::shared_ptr<StreamWriter> writer)
      : RecipeCall(surroundings, std::move(context), std::move(writer)) {}

 protected:
  struct Place {
    std::string name;
    std::string key;
    std::optional<std::string> value;
    int64_t lease = 0;
    storage::Revision create = 0;
    storage::Revision entered = 0;  // When the key was put, or found to be there.
  };

  // Puts the caller's key in the line of `name`, unless it is there, and waits for its turn. If
  // there is a value, the key gets it in any case.
  void Enter(std::string_view name, int64_t lease, std::optional<std::string> value);

  // The key is the oldest, and was there at `revision`, which no earlier answer of the cluster is
  // beyond.
  virtual void OnFirst(const Place& place, storage::Revision revision) = 0;
  // What to say when the key has gone while it waited.
  virtual RpcStatus Gone() const = 0;

  // A client that has gone waits no longer. Its key goes with it, unless it was there before.
  void Abandon() override;

 private:
  void AddPut(etcdserverpb::TxnRequest* request) const;
  void PutKey();
  void OnPlace(const etcdserverpb::TxnResponse& written);
  void SayValue(storage::Revision first);
  void BeFirst(storage::Revision revision);
  void WaitInLine();
  void OnLine(absl::StatusOr<KeyInLine::End> end);
  void Confirm();
  void DeleteKey();

  Place place_;
  bool ours_ = false;  // This call has created the key.
  std::shared_ptr<KeyInLine> line_;
};

}  // namespace gavel::server
