#include "storage/snapshot/compression.h"

#include <zstd.h>

#include "raft/check.h"

namespace gavel::storage {
namespace {

// The fastest of zstd's ordinary levels: a backup should cost the member little.
constexpr int kLevel = 1;

}  // namespace

struct Compressor::State {
  State() : context(ZSTD_createCCtx()) { GAVEL_CHECK(context != nullptr); }
  ~State() { ZSTD_freeCCtx(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ZSTD_CCtx* context;
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;

bool Compressor::Compress(std::string_view bytes, std::string* out) {
  // With room for one byte less, what would not become smaller is given up early.
  out->resize(bytes.size());
  const size_t size =
      ZSTD_compressCCtx(state_->context, out->data(), bytes.empty() ? 0 : bytes.size() - 1,
                        bytes.data(), bytes.size(), kLevel);
  if (ZSTD_isError(size)) return false;
  out->resize(size);
  return true;
}

struct Decompressor::State {
  State() : context(ZSTD_createDCtx()) { GAVEL_CHECK(context != nullptr); }
  ~State() { ZSTD_freeDCtx(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ZSTD_DCtx* context;
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;

bool Decompressor::Decompress(std::string_view bytes, size_t size, std::string* out) {
  // What zstd itself says of the size is looked at before the room for it is made.
  if (ZSTD_getFrameContentSize(bytes.data(), bytes.size()) != size) return false;
  out->resize(size);
  const size_t got =
      ZSTD_decompressDCtx(state_->context, out->data(), size, bytes.data(), bytes.size());
  return !ZSTD_isError(got) && got == size;
}

}  // namespace gavel::storage
