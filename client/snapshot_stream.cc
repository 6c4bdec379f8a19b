#include "client/snapshot_stream.h"

#include <utility>

#include "client/internal/snapshot_reader.h"
#include "client/internal/submit.h"

namespace gavel::client {

SnapshotStream::SnapshotStream(const std::shared_ptr<internal::Core>& core, CallOptions options)
    : reader_(std::make_shared<internal::SnapshotReader>(core, std::move(options))) {
  reader_->Begin();
}

SnapshotStream::SnapshotStream(SnapshotStream&&) noexcept = default;

SnapshotStream& SnapshotStream::operator=(SnapshotStream&& other) noexcept {
  if (this != &other) {
    if (reader_) reader_->Close();
    reader_ = std::move(other.reader_);
  }
  return *this;
}

SnapshotStream::~SnapshotStream() {
  if (reader_) reader_->Close();
}

Pending<SnapshotPiece> SnapshotStream::NextAsync() { return reader_->Next(); }

Result<SnapshotPiece> SnapshotStream::Next() {
  return internal::Block([&] { return NextAsync(); });
}

bool SnapshotStream::done() const { return reader_->done(); }

}  // namespace gavel::client
