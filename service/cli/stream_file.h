// Streams as a YAML file declares them, for `lowmark streams apply`:
//
//   streams:
//     orders:
//       preset: lambda           # whose defaults to take; lowmark where not given
//       config:                  # fields of the policy, as `--set` takes them
//         batch_size: 10
//         retry_backoff:
//           initial: 1s          # or in one: retry_backoff.initial
#ifndef LOWMARK_SERVICE_CLI_STREAM_FILE_H_
#define LOWMARK_SERVICE_CLI_STREAM_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lowmark/v1/stream.pb.h"

namespace lowmark::cli {

struct DeclaredStream {
  std::string name;
  v1::Preset preset = v1::PRESET_UNSPECIFIED;
  // What the file sets, and the names of those fields ("retry_backoff.initial").
  v1::StreamConfig config;
  std::vector<std::string> fields;
  // What the policy is with the preset's defaults: every field is set.
  v1::StreamConfig whole;
};

// Reads a file's streams, in the order in which they stand there; values are checked
// as the coordinator does it. INVALID_ARGUMENT names the file, the line, and what
// is wrong there.
absl::StatusOr<std::vector<DeclaredStream>> ReadStreamFile(const std::string& path);

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_STREAM_FILE_H_
