// The log on spdlog's sinks. Lines have the shape that etcd's own have, so that the same log
// shippers parse them: {"level":"info","ts":"2026-01-02T03:04:05.678Z","msg":"...",fields}.
#include "server/logging.h"

#include <cmath>
#include <cstdio>
#include <ctime>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <nlohmann/json.hpp>

#include "server/clock.h"

namespace gavel::server {
namespace {

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// `wall_ns` as "2026-01-02T03:04:05.678Z".
std::string Timestamp(int64_t wall_ns) {
  const std::time_t seconds = wall_ns / kNsPerSecond;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(wall_ns % kNsPerSecond / kNsPerMs));
  return text;
}

// `text` between quotes, with what is not UTF-8 replaced.
std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JsonLine(LogLevel level, const std::string& timestamp, std::string_view message,
                     std::initializer_list<LogField> fields) {
  std::string line = "{\"level\":\"";
  line.append(LevelName(level)).append("\",\"ts\":\"").append(timestamp).append("\",\"msg\":");
  line.append(Quoted(message));
  for (const LogField& field : fields) {
    line.append(",").append(Quoted(field.key)).append(":");
    line.append(field.bare ? field.value : Quoted(field.value));
  }
  return line.append("}");
}

// Values that would be misread beside others are quoted.
std::string ConsoleValue(const LogField& field) {
  const bool plain = !field.value.empty() &&
                     field.value.find_first_of(" \t\r\n\"=\\") == std::string::npos &&
                     Quoted(field.value).size() == field.value.size() + 2;
  return field.bare || plain ? field.value : Quoted(field.value);
}

std::string ConsoleLine(LogLevel level, const std::string& timestamp, std::string_view message,
                        std::initializer_list<LogField> fields) {
  std::string line = timestamp;
  const std::string name = LevelName(level);
  line.append(" ").append(name).append(6 - name.size(), ' ');
  const std::string quoted = Quoted(message);  // A message cannot start a new line.
  line.append(quoted, 1, quoted.size() - 2);
  std::string_view separator = "  ";
  for (const LogField& field : fields) {
    line.append(separator).append(field.key).append("=").append(ConsoleValue(field));
    separator = " ";
  }
  return line;
}

class SpdlogLogger final : public Logger {
 public:
  SpdlogLogger(const LogOptions& options, std::vector<spdlog::sink_ptr> sinks)
      : json_(options.json), logger_("gavel", sinks.begin(), sinks.end()) {
    logger_.set_level(SpdlogLevel(options.level));
    logger_.set_pattern("%v", spdlog::pattern_time_type::utc);
    logger_.flush_on(spdlog::level::debug);  // Lines are few, and the last ones matter most.
  }

  void Write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) override {
    if (!logger_.should_log(SpdlogLevel(level))) return;
    const std::string timestamp = Timestamp(clock_.WallNs());
    const std::string line = json_ ? JsonLine(level, timestamp, message, fields)
                                   : ConsoleLine(level, timestamp, message, fields);
    logger_.log(SpdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
  }

  void Flush() override { logger_.flush(); }

 private:
  const bool json_;
  SystemClock clock_;
  spdlog::logger logger_;
};

class DroppingLogger final : public Logger {
 public:
  void Write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
  void Flush() override {}
};

}  // namespace

bool LogField::IsJsonNumber(double number) { return std::isfinite(number); }

absl::StatusOr<std::unique_ptr<Logger>> Logger::Create(const LogOptions& options) {
  std::vector<spdlog::sink_ptr> sinks;
  for (const std::string& output : options.outputs) {
    if (output == "stderr") {
      sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    } else if (output == "stdout") {
      sinks.push_back(std::make_shared<spdlog::sinks::stdout_sink_mt>());
    } else {
      try {
        sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(output));
      } catch (const spdlog::spdlog_ex& error) {
        return absl::InvalidArgumentError("cannot open the log output " + output + ": " +
                                          error.what());
      }
    }
  }
  return std::unique_ptr<Logger>(std::make_unique<SpdlogLogger>(options, std::move(sinks)));
}

std::unique_ptr<Logger> NullLogger() { return std::make_unique<DroppingLogger>(); }

}  // namespace gavel::server
