#include "client/recipes/waiting.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <utility>

namespace gavel::client::recipes {

using std::chrono::milliseconds;

namespace {

bool MayAskAgain(const Status& status) { return status.error_class() != ErrorClass::kRejected; }

}  // namespace

// Two tokens become one.
struct Waiting::Links {
  std::stop_source either;
  std::optional<std::stop_callback<std::function<void()>>> program;
  std::optional<std::stop_callback<std::function<void()>>> session;
};

Waiting::Waiting(WaitOptions options, const Session* session)
    : options_(std::move(options)),
      session_(session),
      deadline_(std::chrono::steady_clock::now() + options_.timeout),
      links_(std::make_unique<Links>()) {
  const auto stop = [source = links_->either]() mutable { source.request_stop(); };
  if (options_.stop.stop_possible()) links_->program.emplace(options_.stop, stop);
  if (session_) links_->session.emplace(session_->lost(), stop);
}

Waiting::~Waiting() = default;

std::stop_token Waiting::stop() const { return links_->either.get_token(); }

std::optional<milliseconds> Waiting::left() const {
  if (options_.timeout.count() <= 0) return std::nullopt;
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline_ - std::chrono::steady_clock::now());
  return std::max(left, milliseconds(0));
}

Status Waiting::Check() const {
  if (session_ && !session_->alive()) return LeaseIsLost();
  if (options_.stop.stop_requested()) {
    return Status(Code::kCancelled, ErrorClass::kDropped, Reason::kCancelled,
                  "the wait was cancelled");
  }
  if (left() == milliseconds(0)) {
    return Status(Code::kDeadlineExceeded, ErrorClass::kDropped, Reason::kDeadline,
                  "not within " + std::to_string(options_.timeout.count()) + " ms");
  }
  return Status();
}

CallOptions Waiting::call_options() const {
  CallOptions options;
  // 0 would be the client's.
  if (const auto rest = left()) options.timeout = std::max(*rest, milliseconds(1));
  options.stop = stop();
  return options;
}

Status Waiting::Explain(const Status& status) const {
  if (Status over = Check(); !over.ok()) return over;
  return status.reason() == Reason::kLeaseNotFound ? LeaseIsLost() : status;
}

Result<TxnResponse> Waiting::Commit(const Kv& kv, const Txn& txn) const {
  while (true) {
    if (Status over = Check(); !over.ok()) return over;
    Result<TxnResponse> response = kv.Commit(txn, call_options());
    if (response.ok()) return response;
    if (!MayAskAgain(response.status())) return Explain(response.status());
  }
}

Result<RangeResponse> Waiting::Range(const Kv& kv, const RangeRequest& request) const {
  while (true) {
    if (Status over = Check(); !over.ok()) return over;
    Result<RangeResponse> response = kv.Range(request, call_options());
    if (response.ok()) return response;
    if (!MayAskAgain(response.status())) return Explain(response.status());
  }
}

// --- Keys of sessions ---------------------------------------------------------------------------

std::string KeyOfSession(std::string_view prefix, const Session& session) {
  char lease[17];
  std::snprintf(lease, sizeof lease, "%llx", static_cast<unsigned long long>(session.lease()));
  return std::string(prefix) + lease;
}

Result<OwnKey> PutOwnKey(const Kv& kv, const Waiting& waiting, const std::string& key,
                         std::string_view value, const Session& session) {
  Txn txn;
  txn.If(Compare::Missing(key))
      .Then(PutRequest{.key = key, .value = std::string(value), .lease = session.lease()})
      .Else(RangeRequest{.range = key});
  const Result<TxnResponse> response = waiting.Commit(kv, txn);
  if (!response.ok()) return response.status();
  OwnKey own{.key = key,
             .create_revision = response->header.revision,
             .revision = response->header.revision,
             .value = std::string(value)};
  if (!response->succeeded) {
    const RangeResponse* found =
        response->responses.empty() ? nullptr : response->responses[0].range();
    if (!found || found->kvs.empty()) return NotHeld("the key vanished while it was looked at");
    own.create_revision = found->kvs[0].create_revision;
    own.value = found->kvs[0].value;
  }
  return own;
}

Status DeleteOwnKey(const Kv& kv, const Fence& fence, CallOptions options) {
  Txn txn;
  txn.If(fence.guard()).Then(DeleteRequest{.range = fence.key});
  Status status = kv.Commit(txn, options).status();
  // With the guard it can be done again, once.
  if (!status.ok() && MayAskAgain(status) && status.reason() != Reason::kCancelled) {
    status = kv.Commit(txn, std::move(options)).status();
  }
  return status;
}

Status UntilFirst(const Kv& kv, const Watch& watch, const Waiting& waiting, const KeyRange& range,
                  int64_t create_revision) {
  while (true) {
    const Result<RangeResponse> older =
        waiting.Range(kv, {.range = range,
                           .limit = 1,
                           .sort_order = SortOrder::kDescend,
                           .sort_target = SortTarget::kCreate,
                           .keys_only = true,
                           .max_create_revision = create_revision - 1});
    if (!older.ok()) return older.status();
    if (older->kvs.empty()) return Status();
    Status gone = UntilDeleted(kv, watch, waiting, older->kvs[0].key, older->header.revision + 1);
    if (!gone.ok()) return gone;
  }
}

Status UntilDeleted(const Kv& kv, const Watch& watch, const Waiting& waiting,
                    const std::string& key, int64_t revision) {
  while (true) {
    Watcher watcher = watch.Start({.range = key, .start_revision = revision, .no_put = true});
    const Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
    if (batch.ok()) return Status();
    if (batch.status().reason() != Reason::kCompacted) return batch.status();
    // What happened in between is not known any more, but what is there can be looked at.
    const Result<RangeResponse> now = waiting.Range(kv, {.range = key, .keys_only = true});
    if (!now.ok()) return now.status();
    if (now->kvs.empty() || now->kvs[0].create_revision >= revision) return Status();
    revision = now->header.revision + 1;
  }
}

Status CheckStillThere(const Kv& kv, const Waiting& waiting, const Fence& own) {
  const Result<RangeResponse> found = waiting.Range(kv, {.range = own.key, .keys_only = true});
  if (!found.ok()) return found.status();
  if (found->kvs.empty() || found->kvs[0].create_revision != own.token) return LeaseIsLost();
  return waiting.Check();
}

Status LeaseIsLost() {
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kLeaseLost,
                "the session's lease has ended, or may have");
}

Status NotHeld(std::string_view what) {
  return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kNotHeld,
                std::string(what));
}

}  // namespace gavel::client::recipes
