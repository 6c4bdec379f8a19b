#include "server/rpc/observe_call.h"

#include <utility>

#include "server/rpc/key_line.h"

namespace gavel::server {

using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

namespace {

using Changes = std::vector<const storage::KeyChange*>;

// Whether the key of change `i` is deleted in the same revision.
bool EndsAtOnce(const Changes& changes, size_t i) {
  for (size_t j = i + 1; j < changes.size() && changes[j]->id.main == changes[i]->id.main; ++j) {
    if (changes[j]->tombstone && changes[j]->key == changes[i]->key) return true;
  }
  return false;
}

}  // namespace

void ObserveCall::Begin(const std::string& bytes) {
  v3electionpb::LeaderRequest request;
  if (!ParseRequest(bytes, &request)) return Fail(MalformedRequest());
  name_ = request.name();
  FindLeader();
}

void ObserveCall::Abandon() { watch_.reset(); }

void ObserveCall::FindLeader() {
  watch_.reset();
  ++watches_;
  TxnRequest request;
  AskForFirst(name_, request.add_success()->mutable_request_range());
  Read(std::move(request), [this](TxnResponse seen) {
    auto& range = *seen.mutable_responses(0)->mutable_response_range();
    const storage::Revision revision = seen.header().revision();
    next_ = revision + 1;
    leader_.clear();
    if (range.kvs_size() > 0) {
      leader_ = range.kvs(0).key();
      Tell(std::move(*range.mutable_kvs(0)), revision);
    }
    Follow();
  });
}

void ObserveCall::Follow() {
  watch_.reset();
  if (over() || full_) return;
  WatchOptions options;
  options.start = next_;
  if (leader_.empty()) {
    options.key = LinePrefix(name_);
    options.range_end = LineEnd(options.key);
  } else {
    options.key = leader_;
  }
  const uint64_t number = ++watches_;
  auto watch = gate().watches().Watch(
      std::move(options),
      [weak = weak_from_this(), this, number](const WatchNews& news) {
        const auto self = weak.lock();
        if (self != nullptr && !over()) OnNews(number, news);
      },
      executor());
  // What it had to tell at once may have ended it.
  if (number == watches_ && !over()) watch_ = std::move(watch);
}

void ObserveCall::OnNews(uint64_t watch, const WatchNews& news) {
  if (watch != watches_) return;
  if (news.refused) return Fail(TooManyWatchers());
  if (!news.failure.ok()) return Fail(InternalError(news.failure.ToString()));
  // What has been forgotten cannot be told; who leads can.
  if (news.compacted >= 0) return FindLeader();
  for (size_t i = 0; i < news.changes.size() && watch == watches_; ++i) {
    // The rest of a revision that has been begun is told however full the client is.
    if (full_ && news.changes[i]->id.main >= next_) break;
    OnChange(news.changes, i);
  }
  if (watch != watches_ || over()) return;
  if (full_) {
    watch_.reset();
    ++watches_;
  } else {
    next_ = news.revision + 1;
  }
}

void ObserveCall::OnChange(const Changes& changes, size_t i) {
  const storage::KeyChange& change = *changes[i];
  const bool elected = leader_.empty();
  if (change.tombstone) {
    if (!elected) FindLeader();
    return;
  }
  // A key that does not outlive its own revision never led.
  if (elected && EndsAtOnce(changes, i)) return;
  mvccpb::KeyValue kv;
  kv.set_key(change.key);
  kv.set_value(change.value);
  kv.set_create_revision(change.create);
  kv.set_mod_revision(change.id.main);
  kv.set_version(change.version);
  kv.set_lease(change.lease);
  next_ = change.id.main + 1;
  leader_ = change.key;
  Tell(std::move(kv), change.id.main);
  if (elected) Follow();
}

void ObserveCall::Tell(mvccpb::KeyValue kv, storage::Revision revision) {
  v3electionpb::LeaderResponse response;
  response.mutable_header()->set_revision(revision);
  *response.mutable_kv() = std::move(kv);
  full_ = !Send(std::move(response));
}

void ObserveCall::Resume() {
  if (std::exchange(full_, false)) Follow();
}

}  // namespace gavel::server
