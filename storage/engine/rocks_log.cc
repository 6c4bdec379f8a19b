#include "storage/engine/rocks_log.h"

#include <array>
#include <cctype>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "rocksdb/env.h"

namespace gavel::storage {
namespace {

class RocksLog final : public rocksdb::Logger {
 public:
  explicit RocksLog(std::function<void(std::string_view)> tell)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), tell_(std::move(tell)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!tell_) return;
    std::array<char, 1024> line;
    const int written = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (written < 0) return;
    std::string_view text = line.data();
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
      text.remove_suffix(1);  // Some of its lines end themselves.
    }
    tell_(text);
  }

 private:
  const std::function<void(std::string_view)> tell_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> NewRocksLog(std::function<void(std::string_view)> tell) {
  return std::make_shared<RocksLog>(std::move(tell));
}

}  // namespace gavel::storage
