// The shapes of events, each in a file of its own; used by event.cc alone.
#ifndef LOWMARK_WORKER_HANDLER_EVENT_SHAPES_H_
#define LOWMARK_WORKER_HANDLER_EVENT_SHAPES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "worker/batch.h"

namespace lowmark {

// Each appends the members of an event, without the braces around them.
void AppendKinesisMembers(const Batch& batch, std::string& json);
void AppendDynamoDbMembers(const Batch& batch, std::string& json);
void AppendKafkaMembers(const Batch& batch, std::string& json);

// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string QuotedJson(absl::string_view text);

// "awsRegion" of a batch's events.
std::string EventRegion(const Batch& batch);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_EVENT_SHAPES_H_
