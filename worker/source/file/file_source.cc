#include "worker/source/file/file_source.h"

#include <dirent.h>

#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"
#include "service/core/position.h"
#include "worker/source/file/file_io.h"
#include "worker/source/file/file_reader.h"

namespace lowmark {
namespace {

constexpr char kSuffix[] = ".jsonl";

}  // namespace

absl::Status FileSourceOptions::Validate() const {
  if (directory.empty()) return InvalidField("source_path", directory, "must be a directory");
  if (max_line_bytes < 1024 || max_line_bytes > int64_t{1} << 30) {
    return InvalidField("max_line_bytes", max_line_bytes, "must be 1024..1073741824");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<FileSource>> FileSource::Create(const FileSourceOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  return std::shared_ptr<FileSource>(new FileSource(options));
}

absl::StatusOr<std::vector<ListedShard>> FileSource::ListShards() {
  DIR* directory = opendir(options_.directory.c_str());
  if (directory == nullptr) return FileError("cannot list", options_.directory, errno);
  std::vector<ListedShard> shards;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    absl::string_view name = entry->d_name;
    if (!absl::ConsumeSuffix(&name, kSuffix)) continue;
    if (IsToken(name)) {
      shards.push_back({std::string(name), {}});
    } else {
      WarnOnce(entry->d_name);
    }
    errno = 0;
  }
  const int error = errno;
  closedir(directory);
  if (error != 0) return FileError("cannot list", options_.directory, error);
  return shards;
}

void FileSource::WarnOnce(const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    if (!warned_.insert(name).second) return;
  }
  if (!options_.warn) return;
  options_.warn(absl::StrCat("ignoring \"", absl::CHexEscape(name), "\" in ", options_.directory,
                             ": the name before .jsonl must match [A-Za-z0-9._:-]{1,128}"));
}

absl::StatusOr<std::unique_ptr<ShardReader>> FileSource::Open(const std::string& shard,
                                                              const Position& from) {
  if (!IsToken(shard)) return InvalidField("shard", shard, "must match [A-Za-z0-9._:-]{1,128}");
  if (from.kind == Position::Kind::kShardEnd) {
    return InvalidField("from", from.ToString(), "must not be SHARD_END");
  }
  return std::make_unique<FileReader>(absl::StrCat(options_.directory, "/", shard),
                                      LineFields{options_.key_field, options_.time_field,
                                                 options_.origin.shape == Origin::Shape::kDynamoDb},
                                      options_.max_line_bytes, from);
}

absl::StatusOr<Position> FileSource::ResolveLatest(const std::string& shard) {
  auto end = EndOfFile(absl::StrCat(options_.directory, "/", shard));
  if (!end.ok()) return end.status();
  return Position::At(absl::StrCat(*end));
}

}  // namespace lowmark
