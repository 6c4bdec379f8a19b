// Blocks made smaller, by zstd.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace gavel::storage {

// Keeps what zstd needs between blocks. Used by one thread at a time.
class Compressor {
 public:
  Compressor();
  ~Compressor();

  // Puts the compressed bytes into `*out`; false if that would not make them smaller.
  bool Compress(std::string_view bytes, std::string* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Decompressor {
 public:
  Decompressor();
  ~Decompressor();

  // Puts the `size` bytes that `bytes` stand for into `*out`; false if they stand for anything
  // else.
  bool Decompress(std::string_view bytes, size_t size, std::string* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gavel::storage
