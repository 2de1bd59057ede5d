#include "service/cli/apply.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/cli/stream_fields.h"
#include "service/cli/text.h"

namespace lowmark::cli {
namespace {

using Stub = AdminClient::Stub;
using Streams = std::map<std::string, v1::Stream>;

absl::StatusOr<Streams> ReadStreams(AdminClient& client) {
  auto listed =
      client.List(&Stub::ListStreams, v1::ListStreamsRequest(), /*limit=*/0,
                  [](const v1::ListStreamsResponse& page) { return page.streams_size(); });
  if (!listed.ok()) return listed.status();
  Streams streams;
  for (v1::Stream& stream : *listed->mutable_streams()) {
    const std::string name = stream.name();
    streams[name] = std::move(stream);
  }
  return streams;
}

absl::Status Create(const DeclaredStream& declared, AdminClient& client) {
  v1::CreateStreamRequest request;
  request.set_stream(declared.name);
  request.set_preset(declared.preset);
  *request.mutable_config() = declared.config;
  return client.Call(&Stub::CreateStream, request).status();
}

absl::Status Change(const DeclaredStream& declared, const StreamDifference& difference,
                    const std::string& etag, AdminClient& client) {
  v1::UpdateStreamRequest request;
  request.set_stream(declared.name);
  request.set_etag(etag);
  *request.mutable_config() = declared.config;
  for (const FieldDifference& field : difference.changed) {
    request.mutable_update_mask()->add_paths(field.name);
  }
  return client.Call(&Stub::UpdateStream, request).status();
}

std::string Outcome(const StreamDifference& stream) {
  if (stream.is_new) return "created";
  return stream.changed.empty() ? "unchanged" : "changed";
}

// A policy's fields by name; one that has a line for each of its entries has them all.
std::map<std::string, std::string> Values(const v1::StreamConfig& config) {
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : Fields(config)) {
    const auto [it, is_new] = values.emplace(name, value);
    if (!is_new) absl::StrAppend(&it->second, ", ", value);
  }
  return values;
}

std::string ValueOrDash(const std::string& value) { return value.empty() ? "-" : Safe(value); }

}  // namespace

StreamDifference Compare(const DeclaredStream& declared, const v1::StreamConfig& current) {
  StreamDifference difference;
  difference.stream = declared.name;
  const std::map<std::string, std::string> found = Values(current);
  for (const auto& [name, wanted] : Values(declared.whole)) {
    const auto it = found.find(name);
    const std::string value = it == found.end() ? "" : it->second;
    if (value == wanted) continue;
    const bool named =
        std::find(declared.fields.begin(), declared.fields.end(), name) != declared.fields.end();
    // A part of what the stream does not have, such as a destination's timeout.
    if (!named && value.empty()) continue;
    (named ? difference.changed : difference.kept).push_back({name, value, wanted});
  }
  return difference;
}

// What a failure leaves done.
std::string AppliedBefore(const Applied& applied) {
  std::vector<std::string> done;
  for (const StreamDifference& stream : applied.streams) {
    if (stream.is_new || !stream.changed.empty()) done.push_back(stream.stream);
  }
  return done.empty() ? "" : absl::StrCat("; applied before it: ", absl::StrJoin(done, ", "));
}

absl::StatusOr<Applied> ApplyStreams(const std::vector<DeclaredStream>& declared, bool dry_run,
                                     AdminClient& client) {
  auto current = ReadStreams(client);
  if (!current.ok()) return current.status();
  Applied applied;
  for (const DeclaredStream& stream : declared) {
    const auto it = current->find(stream.name);
    absl::Status done = absl::OkStatus();
    if (it == current->end()) {
      StreamDifference& difference = applied.streams.emplace_back();
      difference.stream = stream.name;
      difference.is_new = true;
      if (!dry_run) done = Create(stream, client);
    } else {
      applied.streams.push_back(Compare(stream, it->second.config()));
      const StreamDifference& difference = applied.streams.back();
      if (!dry_run && !difference.changed.empty()) {
        done = Change(stream, difference, it->second.etag(), client);
      }
      current->erase(it);
    }
    if (!done.ok()) {
      applied.streams.pop_back();
      return absl::Status(done.code(), absl::StrCat("the stream ", stream.name, ": ",
                                                    done.message(), AppliedBefore(applied)));
    }
  }
  for (const auto& [name, stream] : *current) applied.undeclared.push_back(name);
  return applied;
}

void ShowApplied(const Applied& applied, bool dry_run, std::ostream& out) {
  for (const StreamDifference& stream : applied.streams) {
    const std::string outcome = Outcome(stream);
    out << stream.stream << ": "
        << (outcome == "unchanged" ? "as declared" : (dry_run ? "would be " : "") + outcome)
        << "\n";
    for (const FieldDifference& field : stream.changed) {
      out << "  " << field.name << ": " << ValueOrDash(field.from) << " -> "
          << ValueOrDash(field.to) << "\n";
    }
    for (const FieldDifference& field : stream.kept) {
      out << "  " << field.name << ": " << ValueOrDash(field.from)
          << " is kept, though not declared (default: " << ValueOrDash(field.to) << ")\n";
    }
  }
  if (!applied.undeclared.empty()) {
    out << "Not declared, and left alone: " << Safe(absl::StrJoin(applied.undeclared, ", "))
        << "\n";
  }
}

void ShowAppliedJson(const Applied& applied, bool dry_run, std::ostream& out) {
  nlohmann::ordered_json json = {{"dry_run", dry_run},
                                 {"streams", nlohmann::ordered_json::array()},
                                 {"undeclared", applied.undeclared}};
  for (const StreamDifference& stream : applied.streams) {
    nlohmann::ordered_json entry = {{"stream", stream.stream},
                                    {"outcome", Outcome(stream)},
                                    {"changed", nlohmann::ordered_json::array()},
                                    {"kept", nlohmann::ordered_json::array()}};
    for (const FieldDifference& field : stream.changed) {
      entry["changed"].push_back({{"field", field.name}, {"from", field.from}, {"to", field.to}});
    }
    for (const FieldDifference& field : stream.kept) {
      entry["kept"].push_back(
          {{"field", field.name}, {"value", field.from}, {"default", field.to}});
    }
    json["streams"].push_back(std::move(entry));
  }
  out << json.dump(2) << "\n";
}

}  // namespace lowmark::cli
