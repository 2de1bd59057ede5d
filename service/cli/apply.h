// `lowmark streams apply`: makes streams what a file declares, any number of times.
//
// What the file does not name stays as it is: streams that are not in it, and
// fields that were set by other means (an operator's `paused=true`). Both are shown,
// so that a drift from the file is seen; nothing is ever deleted or reset.
#ifndef LOWMARK_SERVICE_CLI_APPLY_H_
#define LOWMARK_SERVICE_CLI_APPLY_H_

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/cli/admin_client.h"
#include "service/cli/stream_file.h"

namespace lowmark::cli {

// A field whose value was not the declared one, or the default: `from` to `to`.
struct FieldDifference {
  std::string name;
  std::string from;
  std::string to;
};

struct StreamDifference {
  std::string stream;
  bool is_new = false;
  // Fields that the file names: they were `from`, and are `to`.
  std::vector<FieldDifference> changed;
  // Fields that it does not name: they stay `from`; the default would be `to`.
  std::vector<FieldDifference> kept;
};

struct Applied {
  std::vector<StreamDifference> streams;  // as declared
  std::vector<std::string> undeclared;    // by name
};

// How a stream that is there differs from what is declared.
StreamDifference Compare(const DeclaredStream& declared, const v1::StreamConfig& current);

// Creates and changes streams one after the other, and stops at the first error,
// which names the stream; then run it again. A stream that somebody else changes
// at the same time is not overwritten (ETAG_MISMATCH). With `dry_run` it only looks.
absl::StatusOr<Applied> ApplyStreams(const std::vector<DeclaredStream>& declared, bool dry_run,
                                     AdminClient& client);

void ShowApplied(const Applied& applied, bool dry_run, std::ostream& out);
void ShowAppliedJson(const Applied& applied, bool dry_run, std::ostream& out);

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_APPLY_H_
