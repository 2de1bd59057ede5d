// Streams, shards, workers and dead letters as an operator sees them: lists as tables, one
// of them as lines of a name and a value.
#ifndef LOWMARK_SERVICE_CLI_SHOW_H_
#define LOWMARK_SERVICE_CLI_SHOW_H_

#include <google/protobuf/message.h>

#include <iosfwd>
#include <string>

#include "lowmark/v1/admin.pb.h"

namespace lowmark::cli {

void ShowStreams(const v1::ListStreamsResponse& streams, std::ostream& out);
void ShowStream(const v1::Stream& stream, std::ostream& out);
void ShowShards(const v1::ListShardsResponse& shards, std::ostream& out);
// What there are none of, where the list is empty, and why.
std::string WhyNoShards(const std::string& stream, const v1::ListShardsResponse& shards);
void ShowShard(const v1::Shard& shard, std::ostream& out);
void ShowSeek(const v1::SeekShardResponse& seek, bool dry_run, std::ostream& out);
void ShowWorkers(const v1::ListWorkersResponse& workers, std::ostream& out);
// What a command about a worker has done, and what follows from it.
void ShowCordon(const v1::Worker& worker, std::ostream& out);
void ShowUncordon(const v1::Worker& worker, std::ostream& out);
void ShowDrain(const v1::Worker& worker, const v1::StreamConfig& config, std::ostream& out);
void ShowDeadLetters(const v1::ListDeadLettersResponse& letters, std::ostream& out);
void ShowDeadLetter(const v1::DeadLetter& letter, std::ostream& out);

// Protobuf's JSON form with the contract's field names, all of them, indented.
void ShowJson(const google::protobuf::Message& message, std::ostream& out);

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_SHOW_H_
