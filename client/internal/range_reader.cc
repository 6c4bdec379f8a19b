#include "client/internal/range_reader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/errors.h"
#include "client/internal/submit.h"
#include "proto/parse.h"

namespace gavel::client::internal {
namespace {

constexpr char kRangeStreamMethod[] = "/etcdserverpb.KV/RangeStream";

Status CheckStreamable(const RangeRequest& request) {
  if (request.count_only) {
    return InvalidOptions("stream: count_only asks for no rows; use Range");
  }
  if (request.sort_target != SortTarget::kKey || request.sort_order == SortOrder::kDescend) {
    return InvalidOptions("stream: rows come by ascending key; use Range to sort otherwise");
  }
  return Status();
}

}  // namespace

RangeReader::RangeReader(std::shared_ptr<Core> core, RangeRequest request, CallOptions options)
    : core_(std::move(core)),
      kv_(core_),
      options_(std::move(options)),
      timeout_(options_.timeout.count() > 0 ? options_.timeout : core_->options().timeout),
      refused_(CheckStreamable(request)),
      limited_(request.limit > 0),
      request_(std::move(request)) {
  // What a stream does of itself; a server may take the mention of it for sorting.
  request_.sort_order = SortOrder::kNone;
}

void RangeReader::Begin() {
  if (!options_.stop.stop_possible()) return;
  stop_.emplace(options_.stop, [self = weak_from_this()] {
    if (const auto alive = self.lock()) alive->Close();
  });
}

Pending<RangeReader::Rows> RangeReader::Next() {
  auto waiter = std::make_shared<PendingState<Rows>>();
  {
    const LocalLock lock(mutex_);
    if (!refused_.ok()) return Ended<Rows>(refused_);
    if (closed_) return Ended<Rows>(Cancelled(/*sent=*/false));
    if (waiter_) return Ended<Rows>(InvalidOptions("a range is asked for one chunk at a time"));
    if (ready_) {
      Rows rows = *std::exchange(ready_, std::nullopt);
      if (stream_) core_->ReadOn(stream_);
      return Ended<Rows>(std::move(rows));
    }
    if (done_) return Ended<Rows>(Rows());
    deadline_ = core_->StartTimer(
        Now() + ToUs(timeout_), [self = shared_from_this(), waiter] { self->OnDeadline(waiter); });
    if (!deadline_) return Ended<Rows>(ClientClosed());
    waiter_ = waiter;
    last_status_.reset();
    heard_at_ = Now();
  }
  Step();
  return Pending<Rows>(waiter, [self = weak_from_this(), of = std::weak_ptr(waiter)] {
    const std::shared_ptr<RangeReader> alive = self.lock();
    const Waiter target = of.lock();
    if (alive && target) alive->CancelNext(target);
  });
}

void RangeReader::Step() {
  CallOptions options = options_;
  options.timeout = timeout_;
  options.stop = {};
  std::optional<RangeRequest> pin;
  RangePager* pager = nullptr;
  {
    const LocalLock lock(mutex_);
    if (closed_ || calling_ || !waiter_) return;
    if (!pager_ && request_.revision > 0) {
      if (stream_) WatchForSilence();
      // Without a stream or a timer the Core is being closed.
      if (stream_ || again_ || Open()) return;
    } else {
      calling_ = true;
      pin = RangeRequest{
          .range = request_.range.key, .serializable = request_.serializable, .count_only = true};
      if (pager_) pager = &*pager_;
    }
  }
  if (!pin) return Deliver(ClientClosed());
  // Only one call is under way, so the pager is not used by two.
  if (pager != nullptr) {
    pager->NextAsync().Then(
        [self = shared_from_this()](const Result<Rows>& page) { self->OnPage(page); });
    return;
  }
  kv_.RangeAsync(*std::move(pin), std::move(options))
      .Then([self = shared_from_this()](const Result<RangeResponse>& pinned) {
        self->OnPinned(pinned);
      });
}

void RangeReader::OnPinned(const Result<RangeResponse>& pinned) {
  {
    const LocalLock lock(mutex_);
    calling_ = false;
    if (pinned.ok()) request_.revision = pinned->header.revision;
  }
  if (!pinned.ok()) return Deliver(pinned.status());
  Step();
}

void RangeReader::OnPage(const Result<Rows>& page) {
  {
    const LocalLock lock(mutex_);
    calling_ = false;
    done_ = pager_->done();
    count_ = done_ ? pager_->count() : 0;
    request_.range.key = pager_->next_key();
  }
  Deliver(page);
}

void RangeReader::Deliver(Result<Rows> result) {
  Waiter waiter;
  {
    const LocalLock lock(mutex_);
    waiter = TakeWaiter();
    // The next chunk may come when this one has been taken.
    if (waiter && result.ok() && stream_) core_->ReadOn(stream_);
    if (!waiter && result.ok() && !closed_) {
      if (!ready_) ready_.emplace();
      std::move(result->begin(), result->end(), std::back_inserter(*ready_));
    }
  }
  if (waiter) waiter->Complete(std::move(result));
}

RangeReader::Waiter RangeReader::TakeWaiter() {
  core_->CancelTimer(std::exchange(deadline_, nullptr));
  core_->CancelTimer(std::exchange(silence_, nullptr));
  return std::exchange(waiter_, nullptr);
}

// --- The stream ---------------------------------------------------------------------------------

bool RangeReader::Open() {
  const uint64_t life = ++life_;
  rows_before_ = rows_taken_;
  auto self = shared_from_this();
  stream_ = core_->OpenStream(
      {.method = kRangeStreamMethod,
       .options = {.endpoint = options_.endpoint, .require_leader = options_.require_leader}},
      {.opened = [self, life](const std::string&) { self->OnOpened(life); },
       .message = [self, life](const std::string& bytes) { self->OnMessage(life, bytes); },
       .ended = [self, life](const Status& status) { self->OnEnded(life, status); }});
  if (!stream_) return false;
  core_->Send(stream_, ToProto(request_).SerializeAsString());
  core_->HalfClose(stream_);
  core_->ReadOn(stream_);
  return true;
}

void RangeReader::OnOpened(uint64_t life) {
  const LocalLock lock(mutex_);
  if (closed_ || life != life_) return;
  heard_at_ = Now();
  if (waiter_) WatchForSilence();
}

void RangeReader::OnMessage(uint64_t life, const std::string& bytes) {
  etcdserverpb::RangeStreamResponse message;
  const bool parsed = ParseMessage(bytes, kRequestDepthMax, &message);
  Rows rows;
  {
    const LocalLock lock(mutex_);
    if (closed_ || life != life_ || !stream_) return;
    heard_at_ = Now();
    if (!parsed) {
      core_->CancelStream(std::exchange(stream_, nullptr));
    } else {
      failures_ = 0;
      streamed_ = true;
      rows = Take(message.mutable_range_response());
      if (rows.empty()) core_->ReadOn(stream_);
    }
  }
  if (!parsed) return Deliver(BadResponse());
  if (!rows.empty()) Deliver(std::move(rows));
}

RangeReader::Rows RangeReader::Take(etcdserverpb::RangeResponse* response) {
  RangeResponse chunk = FromProto(response);
  // Counted and headed is only the last one, which knows nothing of what an earlier stream brought.
  if (chunk.header.revision != 0) count_ = rows_before_ + chunk.count;
  if (chunk.kvs.empty()) return {};
  rows_taken_ += static_cast<int64_t>(chunk.kvs.size());
  request_.range.key = chunk.kvs.back().key + std::string(1, '\0');
  if (limited_) {
    request_.limit -= static_cast<int64_t>(chunk.kvs.size());
    // A limit of 0 would be none.
    done_ = request_.limit <= 0;
  }
  return std::move(chunk.kvs);
}

void RangeReader::OnEnded(uint64_t life, const Status& status) {
  std::optional<Result<Rows>> result;
  {
    const LocalLock lock(mutex_);
    if (closed_ || life != life_ || !stream_) return;
    stream_ = nullptr;
    core_->CancelTimer(std::exchange(silence_, nullptr));
    if (status.ok()) {
      done_ = true;
      if (!waiter_) return;
      result = Rows();
    } else if ((status.reason() == Reason::kNotServed || status.reason() == Reason::kBadResponse) &&
               !streamed_.value_or(false)) {
      streamed_ = false;
      pager_.emplace(core_, request_, PageOptions(), options_);
    } else if (done_) {
      if (!waiter_) return;
      result = Rows();
    } else if (status.error_class() == ErrorClass::kRejected ||
               status.reason() == Reason::kCancelled) {
      // Nobody here cancels a stream that counts: that is the end of the Client.
      result = status;
    } else {
      last_status_ = status;
      again_ = core_->StartTimer(
          Now() + core_->BackOffDelay(++failures_),
          [self = shared_from_this()] { self->OnAgain(); }, /*even_if_closing=*/true);
      if (again_) return;
      result = ClientClosed();
    }
  }
  if (!result) return Step();
  Deliver(*std::move(result));
}

void RangeReader::OnAgain() {
  {
    const LocalLock lock(mutex_);
    again_ = nullptr;
  }
  Step();
}

// --- Time ---------------------------------------------------------------------------------------

void RangeReader::OnDeadline(const Waiter& waiter) {
  Status status = DeadlineOver(timeout_, /*sent=*/true);
  {
    const LocalLock lock(mutex_);
    if (waiter_ != waiter) return;
    TakeWaiter();
    // What the cluster said last tells more than that time is up.
    if (last_status_) status = *last_status_;
  }
  waiter->Complete(std::move(status));
}

void RangeReader::WatchForSilence() {
  if (silence_) return;
  silence_ =
      core_->StartTimer(heard_at_ + ToUs(core_->options().silence_timeout),
                        [self = shared_from_this(), life = life_] { self->OnSilence(life); });
}

void RangeReader::OnSilence(uint64_t life) {
  const LocalLock lock(mutex_);
  if (closed_ || life != life_ || !stream_ || !waiter_) return;
  silence_ = nullptr;
  const MonotonicUs now = Now();
  if (now - heard_at_ >= ToUs(core_->options().silence_timeout)) {
    if (core_->LeaveSilentStream(stream_)) return;
    heard_at_ = now;
  }
  WatchForSilence();
}

// --- Ends ---------------------------------------------------------------------------------------

void RangeReader::Tell(const Waiter& waiter) {
  const auto tell = [waiter] { waiter->Complete(Cancelled(/*sent=*/false)); };
  // On the Core's thread, as long as there is one.
  if (waiter && !core_->Post(tell)) tell();
}

void RangeReader::CancelNext(const Waiter& waiter) {
  {
    const LocalLock lock(mutex_);
    if (waiter_ != waiter) return;
    TakeWaiter();
  }
  Tell(waiter);
}

void RangeReader::Close() {
  Waiter waiter;
  {
    const LocalLock lock(mutex_);
    if (std::exchange(closed_, true)) return;
    core_->CancelTimer(std::exchange(again_, nullptr));
    if (stream_) core_->CancelStream(std::exchange(stream_, nullptr));
    ready_.reset();
    waiter = TakeWaiter();
  }
  Tell(waiter);
}

bool RangeReader::done() const {
  const LocalLock lock(mutex_);
  return done_ && !ready_;
}

int64_t RangeReader::revision() const {
  const LocalLock lock(mutex_);
  return std::max<int64_t>(request_.revision, 0);
}

int64_t RangeReader::count() const {
  const LocalLock lock(mutex_);
  return count_;
}

std::string RangeReader::next_key() const {
  const LocalLock lock(mutex_);
  return request_.range.key;
}

bool RangeReader::streamed() const {
  const LocalLock lock(mutex_);
  return streamed_.value_or(false);
}

}  // namespace gavel::client::internal
