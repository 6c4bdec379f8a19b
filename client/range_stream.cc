#include "client/range_stream.h"

#include <utility>

#include "client/internal/range_reader.h"
#include "client/internal/submit.h"

namespace gavel::client {

RangeStream::RangeStream(const std::shared_ptr<internal::Core>& core, RangeRequest request,
                         CallOptions options)
    : reader_(
          std::make_shared<internal::RangeReader>(core, std::move(request), std::move(options))) {
  reader_->Begin();
}

RangeStream::RangeStream(RangeStream&&) noexcept = default;

RangeStream& RangeStream::operator=(RangeStream&& other) noexcept {
  if (this != &other) {
    if (reader_) reader_->Close();
    reader_ = std::move(other.reader_);
  }
  return *this;
}

RangeStream::~RangeStream() {
  if (reader_) reader_->Close();
}

Pending<std::vector<KeyValue>> RangeStream::NextAsync() { return reader_->Next(); }

Result<std::vector<KeyValue>> RangeStream::Next() {
  return internal::Block([&] { return NextAsync(); });
}

bool RangeStream::done() const { return reader_->done(); }
int64_t RangeStream::revision() const { return reader_->revision(); }
int64_t RangeStream::count() const { return reader_->count(); }
std::string RangeStream::next_key() const { return reader_->next_key(); }
bool RangeStream::streamed() const { return reader_->streamed(); }

}  // namespace gavel::client
