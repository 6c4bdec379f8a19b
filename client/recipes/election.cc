#include "client/recipes/election.h"

#include <utility>

#include "client/recipes/waiting.h"

namespace gavel::client::recipes {
namespace {

Leader MakeLeader(const KeyValue& kv) {
  return {.key = kv.key,
          .value = kv.value,
          .token = kv.create_revision,
          .mod_revision = kv.mod_revision,
          .lease = kv.lease};
}

}  // namespace

Election::Election(const Client& client, Session session, std::string name)
    : kv_(client.kv()),
      watch_(client.watch()),
      session_(std::move(session)),
      prefix_(std::move(name) + "/") {}

Result<Fence> Election::Campaign(std::string_view value, WaitOptions wait) {
  const Waiting waiting(std::move(wait), &session_);
  const auto proclaim = [&](const Fence& own) {
    Txn txn;
    txn.If(own.guard())
        .Then(PutRequest{.key = own.key, .value = std::string(value), .lease = session_.lease()});
    return waiting.Commit(kv_, txn).status();
  };
  if (led_) {
    Status still = proclaim(*led_);
    if (still.ok() || still.reason() == Reason::kLeaseLost) {
      still = CheckStillHeld(kv_, waiting, &led_);
    }
    if (still.ok()) return *led_;
    // What was taken away can be won again, but not what cannot be looked at.
    if (led_) return still;
  }
  Result<Fence> led =
      HoldInTurn(kv_, waiting, KeyOfSession(prefix_, session_), value, [&](const OwnKey& own) {
        Status status;
        if (own.value != value) status = proclaim(own.fence());
        if (!status.ok()) return status;
        return UntilFirst(kv_, watch_, waiting, KeyRange::Prefix(prefix_), own.create_revision);
      });
  if (led.ok()) led_ = *led;
  return led;
}

Status Election::Proclaim(std::string_view value, CallOptions options) {
  constexpr std::string_view kNotLeading = "it does not lead, or not any more";
  if (!led_) return NotHeld(kNotLeading);
  Txn txn;
  txn.If(led_->guard())
      .Then(PutRequest{.key = led_->key, .value = std::string(value), .lease = session_.lease()});
  const Result<TxnResponse> response = kv_.Commit(txn, std::move(options));
  if (!response.ok() && response.status().reason() != Reason::kLeaseNotFound) {
    return response.status();
  }
  if (response.ok() && response->succeeded) return Status();
  led_.reset();
  return NotHeld(kNotLeading);
}

Status Election::Resign(CallOptions options) { return ReleaseHeld(kv_, &led_, std::move(options)); }

Result<std::optional<Leader>> CurrentLeader(const Client& client, const std::string& name,
                                            CallOptions options) {
  const Result<RangeResponse> oldest = client.kv().Range({.range = KeyRange::Prefix(name + "/"),
                                                          .limit = 1,
                                                          .sort_order = SortOrder::kAscend,
                                                          .sort_target = SortTarget::kCreate},
                                                         std::move(options));
  if (!oldest.ok()) return oldest.status();
  if (oldest->kvs.empty()) return std::optional<Leader>();
  return std::optional<Leader>(MakeLeader(oldest->kvs[0]));
}

ElectionObserver::ElectionObserver(const Client& client, const std::string& name)
    : follower_(client.watch().Follow({.range = KeyRange::Prefix(name + "/")})) {}

Result<Leader> ElectionObserver::Next(WaitOptions wait) {
  const Waiting waiting(std::move(wait), nullptr);
  while (true) {
    const Result<FollowBatch> batch = waiting.Await(follower_.NextAsync());
    if (!batch.ok()) return batch.status();
    if (batch->restarted) {
      candidates_.clear();
      tokens_.clear();
      listed_ = false;
    }
    listed_ |= batch->complete;
    const auto forget = [&](const std::string& key) {
      const auto found = tokens_.find(key);
      if (found == tokens_.end()) return;
      candidates_.erase(found->second);
      tokens_.erase(found);
    };
    const auto learn = [&](const KeyValue& kv) {
      forget(kv.key);
      tokens_[kv.key] = kv.create_revision;
      candidates_[kv.create_revision] = MakeLeader(kv);
    };
    for (const KeyValue& row : batch->rows) learn(row);
    for (const WatchEvent& event : batch->events) {
      if (event.type == EventType::kPut) {
        learn(event.kv);
      } else {
        forget(event.kv.key);
      }
    }
    if (!listed_ || candidates_.empty()) continue;
    const Leader& leader = candidates_.begin()->second;
    if (told_ == leader) continue;
    told_ = leader;
    return leader;
  }
}

}  // namespace gavel::client::recipes
