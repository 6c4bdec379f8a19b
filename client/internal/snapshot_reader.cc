#include "client/internal/snapshot_reader.h"

#include <utility>

#include "client/internal/errors.h"
#include "client/internal/submit.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/parse.h"

namespace gavel::client::internal {
namespace {

constexpr char kSnapshotMethod[] = "/etcdserverpb.Maintenance/Snapshot";

}  // namespace

SnapshotReader::SnapshotReader(std::shared_ptr<Core> core, CallOptions options)
    : core_(std::move(core)),
      options_(std::move(options)),
      timeout_(options_.timeout.count() > 0 ? options_.timeout : core_->options().timeout) {}

void SnapshotReader::Begin() {
  {
    const LocalLock lock(mutex_);
    auto self = shared_from_this();
    stream_ = core_->OpenStream(
        {.method = kSnapshotMethod,
         .options = {.endpoint = options_.endpoint, .require_leader = options_.require_leader}},
        {.opened = [](const std::string&) {},
         .message = [self](const std::string& bytes) { self->OnMessage(bytes); },
         .ended = [self](const Status& status) { self->OnEnded(status); }});
    if (!stream_) {
      failed_ = ClientClosed();
      return;
    }
    core_->Send(stream_, etcdserverpb::SnapshotRequest().SerializeAsString());
    core_->HalfClose(stream_);
    core_->ReadOn(stream_);
  }
  if (!options_.stop.stop_possible()) return;
  stop_.emplace(options_.stop, [self = weak_from_this()] {
    if (const auto alive = self.lock()) alive->Close();
  });
}

Pending<SnapshotPiece> SnapshotReader::Next() {
  auto waiter = std::make_shared<PendingState<SnapshotPiece>>();
  {
    const LocalLock lock(mutex_);
    if (waiter_) return Ended<SnapshotPiece>(InvalidOptions("one piece is asked for at a time"));
    if (ready_) {
      SnapshotPiece piece = *std::exchange(ready_, std::nullopt);
      if (stream_) core_->ReadOn(stream_);
      return Ended<SnapshotPiece>(std::move(piece));
    }
    if (!failed_.ok()) return Ended<SnapshotPiece>(failed_);
    if (done_) return Ended<SnapshotPiece>(SnapshotPiece());
    deadline_ = core_->StartTimer(
        Now() + ToUs(timeout_), [self = shared_from_this(), waiter] { self->OnDeadline(waiter); });
    if (!deadline_) return Ended<SnapshotPiece>(ClientClosed());
    waiter_ = waiter;
  }
  return Pending<SnapshotPiece>(waiter, [self = weak_from_this(), of = std::weak_ptr(waiter)] {
    const std::shared_ptr<SnapshotReader> alive = self.lock();
    const Waiter target = of.lock();
    if (alive && target) alive->CancelNext(target);
  });
}

void SnapshotReader::OnMessage(const std::string& bytes) {
  etcdserverpb::SnapshotResponse message;
  const bool parsed = ParseMessage(bytes, kRequestDepthMax, &message);
  Waiter waiter;
  SnapshotPiece piece;
  {
    const LocalLock lock(mutex_);
    if (!stream_) return;
    if (!parsed) {
      waiter = Fail(BadResponse());
    } else {
      piece = {std::move(*message.mutable_blob()), message.remaining_bytes(),
               std::move(*message.mutable_version())};
      waiter = TakeWaiter();
      if (waiter) {
        core_->ReadOn(stream_);
      } else {
        ready_ = std::move(piece);
      }
    }
  }
  if (!waiter) return;
  if (parsed) {
    waiter->Complete(std::move(piece));
  } else {
    waiter->Complete(BadResponse());
  }
}

void SnapshotReader::OnEnded(const Status& status) {
  Waiter waiter;
  {
    const LocalLock lock(mutex_);
    if (!stream_) return;
    stream_ = nullptr;
    if (status.ok()) {
      done_ = true;
    } else {
      failed_ = status;
    }
    waiter = TakeWaiter();
  }
  if (!waiter) return;
  if (status.ok()) {
    waiter->Complete(SnapshotPiece());
  } else {
    waiter->Complete(status);
  }
}

SnapshotReader::Waiter SnapshotReader::Fail(Status status) {
  if (stream_) core_->CancelStream(std::exchange(stream_, nullptr));
  failed_ = std::move(status);
  ready_.reset();
  return TakeWaiter();
}

SnapshotReader::Waiter SnapshotReader::TakeWaiter() {
  core_->CancelTimer(std::exchange(deadline_, nullptr));
  return std::exchange(waiter_, nullptr);
}

void SnapshotReader::OnDeadline(const Waiter& waiter) {
  const Status status = DeadlineOver(timeout_, /*sent=*/true);
  {
    const LocalLock lock(mutex_);
    if (waiter_ != waiter) return;
    Fail(status);
  }
  waiter->Complete(status);
}

void SnapshotReader::Tell(const Waiter& waiter) {
  const auto tell = [waiter] { waiter->Complete(Cancelled(/*sent=*/false)); };
  // On the Core's thread, as long as there is one.
  if (waiter && !core_->Post(tell)) tell();
}

void SnapshotReader::CancelNext(const Waiter& waiter) {
  {
    const LocalLock lock(mutex_);
    if (waiter_ != waiter) return;
    TakeWaiter();
  }
  Tell(waiter);
}

void SnapshotReader::Close() {
  Waiter waiter;
  {
    const LocalLock lock(mutex_);
    if (done_) return;
    waiter = Fail(Cancelled(/*sent=*/false));
  }
  Tell(waiter);
}

bool SnapshotReader::done() const {
  const LocalLock lock(mutex_);
  return done_ && !ready_;
}

}  // namespace gavel::client::internal
