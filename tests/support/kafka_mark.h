// The mark that a transaction leaves in a partition, as a broker writes it.
#ifndef LOWMARK_TESTS_SUPPORT_KAFKA_MARK_H_
#define LOWMARK_TESTS_SUPPORT_KAFKA_MARK_H_

#include <string>

namespace lowmark {

// Has the broker at "host:port", which must lead the partition, append a commit's
// mark: no producer can, so it is sent in Kafka's protocol, to a broker that does not
// mind. Returns what went wrong, or "".
std::string SendKafkaMark(const std::string& broker, const std::string& topic, int partition);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_KAFKA_MARK_H_
