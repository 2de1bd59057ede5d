// Log lines for people (console) and for machines (JSON), on standard error.
//
//   Logger log({.format = LogFormat::kJson});
//   log.Info("shard leased", {{"stream", stream}, {"shard", shard}, {"epoch", epoch}});
//
//   {"time":"2026-01-31T12:00:00.123456Z","level":"info","message":"shard leased",
//    "stream":"orders","shard":"0","epoch":7}                          (one line)
//   2026-01-31T12:00:00.123Z info    shard leased  stream=orders shard=0 epoch=7
//
// What varies goes into fields, in the words stream, shard, epoch, delivery,
// worker, error; the message stays the same. Whatever a field holds, a line stays
// a line: control characters are escaped, bytes that are not UTF-8 replaced. The data of
// records and passwords must not be logged at all.
#ifndef LOWMARK_SERVICE_PROCESS_LOGGING_H_
#define LOWMARK_SERVICE_PROCESS_LOGGING_H_

#include <spdlog/logger.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lowmark {

enum class LogFormat { kConsole, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "console" and "json"; "debug", "info", "warning" and "error".
absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text);
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);

struct LogOptions {
  LogFormat format = LogFormat::kConsole;
  // Lines below it are left out.
  LogLevel level = LogLevel::kInfo;
  // Where lines go instead of standard error: for tests.
  std::ostream* stream = nullptr;
};

// A key with its value.
class LogField {
 public:
  LogField(const char* key, std::string value) : key_(key), value_(std::move(value)) {}
  LogField(const char* key, absl::string_view value) : key_(key), value_(std::string(value)) {}
  LogField(const char* key, const char* value) : key_(key), value_(std::string(value)) {}
  // As its text, of which "OK" is one.
  LogField(const char* key, const absl::Status& value) : key_(key), value_(value.ToString()) {}
  LogField(const char* key, bool value) : key_(key), value_(value) {}
  template <typename T>
  requires std::is_arithmetic_v<T> LogField(const char* key, T value) : key_(key) {
    if constexpr (std::is_floating_point_v<T>) {
      value_ = static_cast<double>(value);
    } else {
      value_ = static_cast<int64_t>(value);
    }
  }

  const char* key() const { return key_; }
  const std::variant<std::string, int64_t, double, bool>& value() const { return value_; }

 private:
  const char* key_;
  std::variant<std::string, int64_t, double, bool> value_;
};

// Thread-safe.
class Logger {
 public:
  using Fields = std::initializer_list<LogField>;

  explicit Logger(const LogOptions& options = {});

  void Log(LogLevel level, absl::string_view message, Fields fields = {});
  void Debug(absl::string_view message, Fields fields = {});
  void Info(absl::string_view message, Fields fields = {});
  void Warning(absl::string_view message, Fields fields = {});
  void Error(absl::string_view message, Fields fields = {});

 private:
  void Write(spdlog::level::level_enum level, absl::string_view message, Fields fields);

  LogFormat format_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_LOGGING_H_
