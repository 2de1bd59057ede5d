// What the events of Lambda-style handlers say of where their records are from.
#ifndef LOWMARK_WORKER_ORIGIN_H_
#define LOWMARK_WORKER_ORIGIN_H_

#include <string>

namespace lowmark {

struct Origin {
  // Which of AWS' event shapes is the nearest to what the source holds.
  enum class Shape {
    kKinesis,
    kDynamoDb,  // a record's data is the JSON of a DynamoDB stream's record
    kKafka,
  };

  Shape shape = Shape::kKinesis;
  // "eventSourceARN" and "awsRegion"; where empty, ones made of the stream's name.
  // Of Kafka `arn` is "bootstrapServers".
  std::string arn;
  std::string region;

  bool operator==(const Origin&) const = default;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_ORIGIN_H_
