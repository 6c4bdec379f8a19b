#include "client/recipes/waiting.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <utility>

#include "client/internal/local_mutex.h"

namespace gavel::client::recipes {

using std::chrono::milliseconds;

namespace {

// The pauses between tries. A call repeats what is certain by itself, so these are few.
constexpr milliseconds kPauseFirst{25};
constexpr milliseconds kPauseMax{1'000};

// A wait that is over waits this long for its key to be deleted.
constexpr milliseconds kGiveUpPatience{1'000};
constexpr int kGiveUpTries = 3;

bool MayAskAgain(const Status& status) {
  // Nobody here cancels a call while the wait goes on: that is the end of the Client.
  // What is over its quota stays so until somebody deletes and compacts.
  return status.error_class() != ErrorClass::kRejected && status.reason() != Reason::kCancelled &&
         status.reason() != Reason::kNoSpace;
}

// Set once, by one thread for another.
class Flag {
 public:
  void Set() {
    const internal::LocalLock lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  // True if it was set before time was up or stop was requested.
  bool Wait(std::optional<milliseconds> limit, const std::stop_token& stop) {
    internal::LocalLock lock(mutex_);
    const auto is_set = [this]() GAVEL_REQUIRES(mutex_) { return set_; };
    return limit ? lock.WaitFor(changed_, stop, *limit, is_set) : lock.Wait(changed_, stop, is_set);
  }

 private:
  internal::LocalMutex mutex_;
  std::condition_variable_any changed_;
  bool set_ GAVEL_GUARDED_BY(mutex_) = false;
};

// Commits until the outcome is known, some times, without anybody waiting.
void CommitAlone(const Kv& kv, const Txn& txn, int tries, const std::shared_ptr<Flag>& done) {
  kv.CommitAsync(txn).Then([kv, txn, tries, done](const Result<TxnResponse>& response) {
    if (!response.ok() && MayAskAgain(response.status()) && tries > 1) {
      CommitAlone(kv, txn, tries - 1, done);
    } else {
      done->Set();
    }
  });
}

}  // namespace

Waiting::Waiting(WaitOptions options, const Session* session)
    : options_(std::move(options)),
      session_(session),
      deadline_(std::chrono::steady_clock::now() + options_.timeout),
      stops_(options_.stop, session_ != nullptr ? session_->lost() : std::stop_token()) {}

std::optional<milliseconds> Waiting::left() const {
  if (options_.timeout.count() <= 0) return std::nullopt;
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline_ - std::chrono::steady_clock::now());
  return std::max(left, milliseconds(0));
}

Status Waiting::Check() const {
  if (internal::OnClientThread()) {
    return Status(Code::kFailedPrecondition, ErrorClass::kRejected, Reason::kWouldDeadlock,
                  "a recipe that is waited for in a callback would never end; use another thread");
  }
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

void Waiting::Pause(int tries) const {
  const milliseconds pause = std::min(kPauseFirst * (1 << std::min(tries, 10)), kPauseMax);
  Flag().Wait(std::min(pause, left().value_or(pause)), stop());
}

Result<TxnResponse> Waiting::Commit(const Kv& kv, const Txn& txn) const {
  for (int tries = 0;; ++tries) {
    if (Status over = Check(); !over.ok()) return over;
    Result<TxnResponse> response = kv.Commit(txn, call_options());
    if (response.ok()) return response;
    if (!MayAskAgain(response.status())) return Explain(response.status());
    Pause(tries);
  }
}

Result<RangeResponse> Waiting::Range(const Kv& kv, const RangeRequest& request) const {
  for (int tries = 0;; ++tries) {
    if (Status over = Check(); !over.ok()) return over;
    Result<RangeResponse> response = kv.Range(request, call_options());
    if (response.ok()) return response;
    if (!MayAskAgain(response.status())) return Explain(response.status());
    Pause(tries);
  }
}

bool Waiting::Ends(const Pending<TxnResponse>& pending) const {
  const auto ended = std::make_shared<Flag>();
  pending.Then([ended](const Result<TxnResponse>&) { ended->Set(); });
  return ended->Wait(left(), stop());
}

Result<TxnResponse> Waiting::Create(const Kv& kv, const Txn& txn, const std::string& key) const {
  bool maybe = false;  // It was created.
  Status status;
  for (int tries = 0;; ++tries) {
    status = Check();
    if (!status.ok()) break;
    // If it were cancelled, it could be carried out after the deletion. So it goes on, and the
    // deletion follows it.
    const Pending<TxnResponse> attempt = kv.CommitAsync(txn);
    if (!Ends(attempt)) {
      const auto done = std::make_shared<Flag>();
      attempt.Then([kv, remove = Removal(key), done](const Result<TxnResponse>&) {
        CommitAlone(kv, remove, kGiveUpTries, done);
      });
      done->Wait(kGiveUpPatience, session_->lost());
      status = Check();
      return status.ok() ? LeaseIsLost() : status;
    }
    Result<TxnResponse> response = attempt.Get();
    if (response.ok()) return response;
    maybe = maybe || !response.status().not_carried_out();
    status = Explain(response.status());
    if (!MayAskAgain(response.status())) break;
    Pause(tries);
  }
  if (maybe) GiveUp(kv, key);
  return status;
}

Txn Waiting::Removal(const std::string& key) const {
  Txn txn;
  txn.If(Compare::Lease(key).Equal(lease())).Then(DeleteRequest{.range = key});
  return txn;
}

void Waiting::GiveUp(const Kv& kv, const std::string& key) const {
  const auto done = std::make_shared<Flag>();
  CommitAlone(kv, Removal(key), kGiveUpTries, done);
  done->Wait(kGiveUpPatience, session_->lost());
}

// --- Keys of sessions ---------------------------------------------------------------------------

std::string KeyOfSession(std::string_view prefix, const Session& session) {
  char lease[17];
  std::snprintf(lease, sizeof lease, "%llx", static_cast<unsigned long long>(session.lease()));
  return std::string(prefix) + lease;
}

namespace {

// Puts the key if it is not there; otherwise tells what is.
Result<OwnKey> PutOwnKey(const Kv& kv, const Waiting& waiting, const std::string& key,
                         std::string_view value) {
  Txn txn;
  txn.If(Compare::Missing(key))
      .Then(PutRequest{.key = key, .value = std::string(value), .lease = waiting.lease()})
      .Else(RangeRequest{.range = key});
  const Result<TxnResponse> response = waiting.Create(kv, txn, key);
  if (!response.ok()) return response.status();
  OwnKey own{.key = key, .create_revision = response->header.revision, .value = std::string(value)};
  if (!response->succeeded) {
    const RangeResponse* found =
        response->responses.empty() ? nullptr : response->responses[0].range();
    if (!found || found->kvs.empty()) return NotHeld("the key vanished while it was looked at");
    own.create_revision = found->kvs[0].create_revision;
    own.value = found->kvs[0].value;
  }
  return own;
}

}  // namespace

Result<Fence> HoldInTurn(const Kv& kv, const Waiting& waiting, const std::string& key,
                         std::string_view value, const std::function<Status(const OwnKey&)>& turn) {
  const Result<OwnKey> own = PutOwnKey(kv, waiting, key, value);
  if (!own.ok()) return own.status();
  Status status = turn(*own);
  if (status.ok()) status = CheckStillThere(kv, waiting, own->fence());
  if (status.ok()) return own->fence();
  waiting.GiveUp(kv, key);
  return status;
}

std::optional<Result<Fence>> HeldAlready(const Kv& kv, const Waiting& waiting,
                                         std::optional<Fence>* held) {
  if (!*held) return std::nullopt;
  Status still = CheckStillHeld(kv, waiting, held);
  if (still.ok()) return **held;
  // What was taken away can be taken again, but not what cannot be looked at.
  if (*held) return still;
  return std::nullopt;
}

Status ReleaseHeld(const Kv& kv, std::optional<Fence>* held, CallOptions options) {
  if (!*held) return Status();
  Txn txn;
  txn.If((*held)->guard()).Then(DeleteRequest{.range = (*held)->key});
  Status status = kv.Commit(txn, options).status();
  // With the guard it can be done again, once.
  if (!status.ok() && MayAskAgain(status) && status.reason() != Reason::kCancelled) {
    status = kv.Commit(txn, std::move(options)).status();
  }
  if (status.ok()) held->reset();
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
    Result<WatchBatch> batch = waiting.Await(watcher.NextAsync());
    while (batch.ok() && batch->progress()) batch = waiting.Await(watcher.NextAsync());
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

Status CheckStillHeld(const Kv& kv, const Waiting& waiting, std::optional<Fence>* held) {
  Status status = CheckStillThere(kv, waiting, **held);
  if (status.reason() == Reason::kLeaseLost) held->reset();
  return status;
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
