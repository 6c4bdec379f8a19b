// RocksDB's own messages, told to whoever opened the engine instead of written to a file.
//
// RocksDB's file of messages stops the process (an assertion that Debian's build keeps on) at the
// first line after one that could not be written, so a disk that is full for a moment would.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace rocksdb {
class Logger;
}  // namespace rocksdb

namespace gavel::storage {

// Hands warnings and errors to `tell` (nothing if it is empty), from any thread.
std::shared_ptr<rocksdb::Logger> NewRocksLog(std::function<void(std::string_view)> tell);

}  // namespace gavel::storage
