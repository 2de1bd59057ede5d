#include "service/process/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

// By LogLevel.
constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                 spdlog::level::warn, spdlog::level::err};

// Bytes that are not UTF-8 become U+FFFD.
std::string Json(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JsonValue(const LogField& field) {
  return std::visit(
      [](const auto& value) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
          return Json(value);
        } else {
          return nlohmann::json(value).dump();
        }
      },
      field.value());
}

// Bare where that is clear, otherwise as a JSON string. DEL and the C1 controls,
// which JSON lets pass, can steer a terminal too.
std::string ConsoleText(absl::string_view text, bool quote) {
  std::string json = Json(text);
  std::string safe;
  for (size_t i = 0; i < json.size(); ++i) {
    const unsigned char c = json[i];
    const unsigned char next = i + 1 < json.size() ? json[i + 1] : 0;
    if (c == 0x7f) {
      absl::StrAppend(&safe, "\\u007f");
    } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
      absl::StrAppend(&safe, absl::StrFormat("\\u%04x", next));
      ++i;
    } else {
      safe.push_back(json[i]);
    }
  }
  const absl::string_view inside = absl::string_view(safe).substr(1, safe.size() - 2);
  const bool plain = !inside.empty() && inside.find_first_of(" \\=\"") == inside.npos;
  if (plain || !quote) return std::string(inside);
  return safe;
}

std::string ConsoleValue(const LogField& field) {
  if (const auto* text = std::get_if<std::string>(&field.value())) return ConsoleText(*text, true);
  return JsonValue(field);
}

}  // namespace

absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text) {
  if (text == "console") return LogFormat::kConsole;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError("the log format must be console or json");
}

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return absl::InvalidArgumentError("the log level must be debug, info, warning or error");
}

Logger::Logger(const LogOptions& options) : format_(options.format) {
  spdlog::sink_ptr sink;
  if (options.stream != nullptr) {
    sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(*options.stream);
  } else if (format_ == LogFormat::kJson) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  }
  logger_ = std::make_shared<spdlog::logger>("lowmark", std::move(sink));
  const char* pattern = format_ == LogFormat::kJson
                            ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"level\":\"%l\",%v}"
                            : "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v";
  logger_->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n"));
  logger_->set_level(kLevels[static_cast<int>(options.level)]);
  logger_->flush_on(spdlog::level::debug);
}

void Logger::Log(LogLevel level, absl::string_view message, Fields fields) {
  Write(kLevels[static_cast<int>(level)], message, fields);
}
void Logger::Debug(absl::string_view message, Fields fields) {
  Write(spdlog::level::debug, message, fields);
}
void Logger::Info(absl::string_view message, Fields fields) {
  Write(spdlog::level::info, message, fields);
}
void Logger::Warning(absl::string_view message, Fields fields) {
  Write(spdlog::level::warn, message, fields);
}
void Logger::Error(absl::string_view message, Fields fields) {
  Write(spdlog::level::err, message, fields);
}

void Logger::Write(spdlog::level::level_enum level, absl::string_view message, Fields fields) {
  if (!logger_->should_log(level)) return;
  std::string line;
  if (format_ == LogFormat::kJson) {
    line = absl::StrCat("\"message\":", Json(message));
    for (const LogField& field : fields) {
      absl::StrAppend(&line, ",", Json(field.key()), ":", JsonValue(field));
    }
  } else {
    line = ConsoleText(message, false);
    const char* separator = "  ";
    for (const LogField& field : fields) {
      absl::StrAppend(&line, separator, field.key(), "=", ConsoleValue(field));
      separator = " ";
    }
  }
  logger_->log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace lowmark
