// One line for each event that an operator should know of, as text or JSON.
//
// A line has a level, a message that is a constant, and fields. Passed by reference to who
// needs it; there is no global logger. Thread-safe.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/statusor.h"

namespace gavel::server {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// A named value of a log line.
struct LogField {
  LogField(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, const char* text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, bool flag)
      : key(field_key), value(flag ? "true" : "false"), bare(true) {}
  template <class Number, class = std::enable_if_t<std::is_arithmetic_v<Number>>>
  LogField(std::string_view field_key, Number number)
      : key(field_key),
        value(std::to_string(number)),
        bare(IsJsonNumber(static_cast<double>(number))) {}

  static bool IsJsonNumber(double number);

  std::string_view key;
  std::string value;
  bool bare = false;  // A number or truth value, which JSON writes without quotes.
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = true;                               // etcd's default; false: console text.
  std::vector<std::string> outputs = {"stderr"};  // "stdout", "stderr", or paths of files.
};

class Logger {
 public:
  static absl::StatusOr<std::unique_ptr<Logger>> Create(const LogOptions& options);
  virtual ~Logger() = default;

  void Debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kInfo, message, fields);
  }
  void Warn(std::string_view message, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kWarn, message, fields);
  }
  void Error(std::string_view message, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kError, message, fields);
  }

  virtual void Write(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields) = 0;
  // Hands everything written so far to the system.
  virtual void Flush() = 0;
};

// Drops everything; for tests and the simulator.
std::unique_ptr<Logger> NullLogger();

}  // namespace gavel::server
