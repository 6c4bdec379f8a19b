#include "server/rpc/key_line.h"

#include <utility>

#include "absl/strings/str_format.h"

#include "raft/check.h"
#include "server/rpc/recipe_call.h"

namespace gavel::server {

using etcdserverpb::RangeRequest;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

std::string LinePrefix(std::string_view name) { return std::string(name) + "/"; }

std::string LineEnd(std::string prefix) {
  GAVEL_CHECK(prefix.ends_with('/'));
  prefix.back() = '/' + 1;
  return prefix;
}

std::string LineKey(std::string_view name, int64_t lease) {
  // As Go writes a negative number.
  const auto digits = static_cast<uint64_t>(lease);
  return LinePrefix(name) +
         (lease < 0 ? absl::StrFormat("-%x", 0 - digits) : absl::StrFormat("%x", digits));
}

void AskForFirst(std::string_view name, RangeRequest* range) {
  range->set_key(LinePrefix(name));
  range->set_range_end(LineEnd(range->key()));
  range->set_sort_target(RangeRequest::CREATE);
  range->set_sort_order(RangeRequest::ASCEND);
  range->set_limit(1);
}

KeyInLine::KeyInLine(Gate& gate, std::shared_ptr<Executor> executor, std::string_view name,
                     std::string key, storage::Revision create)
    : gate_(gate),
      executor_(std::move(executor)),
      prefix_(LinePrefix(name)),
      key_(std::move(key)),
      create_(create) {}

void KeyInLine::Wait(Done done) {
  done_ = std::move(done);
  Look();
}

void KeyInLine::Stop() {
  done_ = nullptr;
  own_.reset();
  before_.reset();
}

// Whether the key is there, and who is before it. The state of this member will do: an older key
// that it does not know to be gone is watched until it knows, and none can appear.
void KeyInLine::Look() {
  looking_ = true;
  own_.reset();
  before_.reset();
  TxnRequest request;
  request.add_success()->mutable_request_range()->set_key(key_);
  RangeRequest& before = *request.add_success()->mutable_request_range();
  before.set_key(prefix_);
  before.set_range_end(LineEnd(prefix_));
  before.set_max_create_revision(create_ - 1);
  before.set_sort_target(RangeRequest::CREATE);
  before.set_sort_order(RangeRequest::DESCEND);
  before.set_limit(1);
  before.set_keys_only(true);
  ReadInBackground(gate_, executor_, gate_.view(), std::move(request),
                   [self = shared_from_this()](absl::StatusOr<TxnResponse> seen) {
                     const storage::Revision revision = seen.ok() ? seen->header().revision() : 0;
                     self->OnSeen(revision, std::move(seen));
                   });
}

void KeyInLine::OnSeen(storage::Revision revision, absl::StatusOr<TxnResponse> seen) {
  looking_ = false;
  if (done_ == nullptr) return;
  if (!seen.ok()) return Finish(seen.status());
  const auto& own = seen->responses(0).response_range();
  if (own.kvs_size() == 0 || own.kvs(0).create_revision() != create_) return Finish(End::kGone);
  const auto& before = seen->responses(1).response_range();
  if (before.kvs_size() == 0) return Finish(End::kFirst);
  own_ = WatchFor(key_, revision + 1);
  // The news may have been there already.
  if (done_ == nullptr || looking_) return;
  before_ = WatchFor(before.kvs(0).key(), revision + 1);
}

std::unique_ptr<LocalWatch> KeyInLine::WatchFor(const std::string& key, storage::Revision start) {
  WatchOptions options;
  options.key = key;
  options.start = start;
  options.no_put = true;
  return gate_.watches().Watch(
      std::move(options),
      [weak = weak_from_this()](const WatchNews& news) {
        if (const auto self = weak.lock()) self->OnNews(news);
      },
      executor_);
}

void KeyInLine::OnNews(const WatchNews& news) {
  if (done_ == nullptr || looking_) return;
  if (news.refused) return Finish(absl::ResourceExhaustedError("too many watchers"));
  if (!news.failure.ok()) return Finish(news.failure);
  // One of the two keys is gone, or that can only be found out by looking.
  if (!news.changes.empty() || news.compacted >= 0) Look();
}

void KeyInLine::Finish(absl::StatusOr<End> end) {
  Done done = std::exchange(done_, nullptr);
  Stop();
  done(std::move(end));
}

}  // namespace gavel::server
