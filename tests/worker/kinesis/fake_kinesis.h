// An HTTP server that answers calls of the Kinesis API as it is told, and remembers them.
#ifndef LOWMARK_TESTS_WORKER_KINESIS_FAKE_KINESIS_H_
#define LOWMARK_TESTS_WORKER_KINESIS_FAKE_KINESIS_H_

#include <CivetServer.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "service/process/mutex.h"

namespace lowmark {

// A sequence number of 56 digits, as those of Kinesis are.
std::string Sequence(int n);

// A record as GetRecords returns it; it arrived at 1700000000.123.
nlohmann::json KinesisRecord(int n, const std::string& data, const std::string& key = "k");

// An answer of GetRecords. Without `next` the shard is at its end.
nlohmann::json RecordsAnswer(const std::vector<nlohmann::json>& records, const std::string& next,
                             int64_t millis_behind = 0);

// Thread safe.
class FakeKinesis : public CivetHandler {
 public:
  struct Request {
    std::string operation;
    nlohmann::json body;
    std::map<std::string, std::string> headers;  // by their names in lower case
  };

  // One as if it were new; the same for all tests of a process, since stopping a server
  // takes civetweb two seconds.
  static FakeKinesis& Fresh();
  std::string url();

  // The next call of the operation that has no answer yet is answered so. A call for
  // which there is none is answered with the operation's standing answer, or 400 Unscripted.
  void Answer(const std::string& operation, const nlohmann::json& body);
  void Refuse(const std::string& operation, int status, const std::string& error,
              const std::string& message = "");
  // A whole answer, from the status line on; empty: none, the connection ends.
  void AnswerRaw(const std::string& operation, const std::string& answer);
  void AnswerAlways(const std::string& operation, const nlohmann::json& body);
  // Answers come only after this is taken back.
  void Hold(bool hold);

  std::vector<Request> requests(const std::string& operation);

  bool handlePost(CivetServer*, mg_connection* connection) override;

 private:
  FakeKinesis();

  Mutex mutex_;
  CondVar changed_;
  bool held_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::deque<std::string>> answers_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, std::string> standing_ LOWMARK_GUARDED_BY(mutex_);
  std::vector<Request> requests_ LOWMARK_GUARDED_BY(mutex_);
  CivetServer server_;  // last: it uses the others while it goes
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_KINESIS_FAKE_KINESIS_H_
