#include "server/rpc/snapshot_call.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "proto/etcdserverpb/maintenance.pb.h"
#include "server/rpc/error_map.h"
#include "server/rpc/step_pause.h"
#include "server/version.h"
#include "storage/snapshot/archive_writer.h"
#include "storage/snapshot/sha256.h"

namespace gavel::server {
namespace {

using etcdserverpb::SnapshotRequest;
using etcdserverpb::SnapshotResponse;
using storage::ArchiveWriter;

// As etcd's.
constexpr size_t kBlobBytes = 32 << 10;

// Waits for the request, then writes the archive in background steps, and pauses while the writer
// is full. One step runs at a time; the archive belongs to it.
//
// The last message is the digest alone, and the only one with no bytes remaining: clients may take
// that for the end.
class SnapshotCall final : public StreamHandler, public std::enable_shared_from_this<SnapshotCall> {
 public:
  SnapshotCall(const ServiceSurroundings& surroundings, std::shared_ptr<StreamWriter> writer)
      : surroundings_(surroundings), writer_(std::move(writer)) {}

  void OnMessage(std::string message) override {
    if (std::exchange(asked_, true)) return;
    SnapshotRequest request;
    if (!ParseRequest(message, &request)) {
      writer_->Finish(MalformedRequest());
      return;
    }
    if (TooManyJobs(surroundings_)) {
      writer_->Finish(ToStatus(Error::kTooManyRequests));
      return;
    }
    RunSteps();
    // The archive holds back the engine's compaction: a client that does not read must not do that
    // for ever.
    surroundings_.gate->RunInBackgroundAfter(surroundings_.limits.snapshot_age_max,
                                             [call = weak_from_this()] {
                                               if (auto self = call.lock()) self->OnTooOld();
                                               return false;
                                             });
  }

  void OnHalfClose() override {
    if (!asked_) writer_->Finish(MalformedRequest());
  }

  void OnWritable() override {
    if (pause_.Wake()) RunSteps();
  }

  void OnCancel() override { pause_.Cancel(); }

  bool EndsByItself() const override { return true; }

 private:
  void RunSteps() {
    surroundings_.gate->RunInBackground([self = shared_from_this()] { return self->Step(); });
  }

  void OnTooOld() {
    too_old_ = true;
    if (pause_.Wake()) RunSteps();
  }

  // One bounded step; false when there is nothing to do until somebody asks again.
  bool Step() {
    if (ended_) return false;
    if (pause_.canceled()) return End();
    if (too_old_) return Fail(SnapshotTooOld());
    if (archive_ == nullptr) {
      auto archive = ArchiveWriter::Create(
          surroundings_.gate->view()->engine,
          {surroundings_.gate->cluster_id(), surroundings_.gate->member_id()});
      if (!archive.ok()) return Fail(InternalError(archive.status().ToString()));
      archive_ = *std::move(archive);
    }
    const absl::StatusOr<bool> more = archive_->Step(&bytes_);
    if (!more.ok()) return Fail(InternalError(more.status().ToString()));
    if (*more) return SendBlobs();
    SendLast();
    return End();
  }

  bool Fail(RpcStatus status) {
    writer_->Finish(std::move(status));
    return End();
  }

  // Lets go of the engine; nothing more is sent.
  bool End() {
    ended_ = true;
    archive_.reset();
    bytes_ = std::string();
    return false;
  }

  // Sends the whole blobs there are; false if the writer is full.
  bool SendBlobs() {
    size_t at = 0;
    size_t queued = 0;
    for (; bytes_.size() - at >= kBlobBytes; at += kBlobBytes) {
      queued = Send(at, kBlobBytes);
    }
    bytes_.erase(0, at);
    if (at == 0 || queued <= writer_->high_mark()) return true;
    return !pause_.Pause();
  }

  // The archive is complete.
  void SendLast() {
    const size_t end = bytes_.size() - storage::kSha256Bytes;
    for (size_t at = 0; at < end; at += kBlobBytes) Send(at, std::min(kBlobBytes, end - at));
    Send(end, storage::kSha256Bytes);
    writer_->Finish(RpcStatus());
  }

  // Returns the bytes queued.
  size_t Send(size_t at, size_t size) {
    SnapshotResponse message;
    message.set_blob(bytes_.data() + at, size);
    message.set_remaining_bytes(archive_->remaining_bytes() + bytes_.size() - at - size);
    message.set_version(std::string(kEtcdClusterVersion));
    return writer_->Write(Encode(message));
  }

  const ServiceSurroundings surroundings_;
  const std::shared_ptr<StreamWriter> writer_;
  bool asked_ = false;

  // Of the step that runs.
  std::unique_ptr<ArchiveWriter> archive_;
  std::string bytes_;  // Of the archive, not sent yet.
  bool ended_ = false;

  StepPause pause_;
  std::atomic<bool> too_old_ = false;  // Set before the wake by which a step sees it.
};

}  // namespace

std::shared_ptr<StreamHandler> StartSnapshot(const ServiceSurroundings& surroundings,
                                             std::shared_ptr<StreamWriter> writer) {
  return std::make_shared<SnapshotCall>(surroundings, std::move(writer));
}

}  // namespace gavel::server
