// Servers of the Kinesis API that nobody of Lowmark wrote, and what else of tests/node
// plays the other side.
#ifndef LOWMARK_TESTS_E2E_KINESIS_SERVER_H_
#define LOWMARK_TESTS_E2E_KINESIS_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "service/process/child_process.h"

namespace lowmark {

// A script of tests/node with what it needs of npm, which is installed where it is missing.
ProcessOptions NodeScript(const std::string& script, const std::vector<std::string>& arguments);

// Such a server; it ends with this.
class KinesisServer {
 public:
  enum class Kind { kKinesalite, kKinesisLocal };

  explicit KinesisServer(Kind kind);

  const std::string& url() const { return url_; }
  // Runs a command of tests/node/kinesis.js on the server's stream "orders".
  void Run(const std::string& command, const std::vector<std::string>& arguments) const;
  // Starts one.
  std::unique_ptr<ChildProcess> Start(const std::string& command,
                                      const std::vector<std::string>& arguments) const;
  // The flags of a worker that reads it.
  std::vector<std::string> WorkerFlags() const;

 private:
  ProcessOptions Command(const std::string& command,
                         const std::vector<std::string>& arguments) const;

  std::unique_ptr<ChildProcess> process_;
  std::string url_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_E2E_KINESIS_SERVER_H_
