// A directory as a destination: a file for each document, STREAM.ID.json.
//
// A file is complete from its first moment: it is written under a name that begins
// with a dot, synced, renamed, and the directory synced. A document that is sent again
// replaces its own file.
#ifndef LOWMARK_SERVICE_ON_FAILURE_DIRECTORY_DESTINATION_H_
#define LOWMARK_SERVICE_ON_FAILURE_DIRECTORY_DESTINATION_H_

#include <string>
#include <vector>

#include "service/on_failure/destination.h"

namespace lowmark {

class DirectoryDestination : public Destination {
 public:
  // Directories of `path` that are missing below `root` are made.
  DirectoryDestination(std::string root, std::string path);

  std::vector<absl::Status> Send(const std::vector<Document>& documents,
                                 absl::Duration patience) override;

 private:
  const std::string root_;
  const std::string path_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_DIRECTORY_DESTINATION_H_
