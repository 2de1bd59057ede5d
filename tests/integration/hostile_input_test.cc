// Bad input, however wrong, gets a clear error and changes nothing: every field of
// every request, with every kind of value, against the real server.
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "store/memory/memory_store.h"
#include "tests/integration/dump.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/hostile_check.h"
#include "tests/integration/running_server.h"

namespace lowmark {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// A server with what good requests are about.
struct Scene {
  MemoryStore store;
  RunningServer server{store};
  std::vector<GoodRequest> good = MakeGoodRequests(server);
};

TEST(HostileInput, GoodRequestsAreGood) {
  const size_t count = Scene().good.size();
  for (size_t i = 0; i < count; ++i) {
    Scene scene;
    const GoodRequest& good = scene.good[i];
    EXPECT_EQ(Send(scene.server, good, *good.request), absl::OkStatus()) << good.name;
  }
}

// All fields of a message and of those in it; well-known types but FieldMask are
// values.
void CollectFields(const Descriptor& message, std::set<std::string>& fields) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (!fields.insert(field.full_name()).second) continue;
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string& type = field.message_type()->full_name();
    if (type != "google.protobuf.Duration" && type != "google.protobuf.Timestamp") {
      CollectFields(*field.message_type(), fields);
    }
  }
}

TEST(HostileInput, EveryFieldOfEveryMethodIsTried) {
  Scene scene;
  std::set<std::string> methods;
  std::set<std::string> tried;
  for (const GoodRequest& good : scene.good) {
    methods.insert(good.method->full_name());
    ForEachHostile(*good.request, [&](const HostileRequest& hostile) {
      tried.insert(std::string(absl::StripSuffix(hostile.key, "[]")));
    });
  }
  std::set<std::string> fields;
  for (const auto* method : AllMethods()) {
    EXPECT_TRUE(methods.contains(method->full_name()))
        << method->full_name() << " is a new method: add a request to good_requests.cc";
    EXPECT_FALSE(method->client_streaming() || method->server_streaming()) << method->full_name();
    CollectFields(*method->input_type(), fields);
  }
  // It cannot be part of a good request; SeekShardToItsEnd tries it.
  tried.insert("lowmark.v1.Position.shard_end");
  for (const std::string& field : fields) {
    EXPECT_TRUE(tried.contains(field)) << field << " is in no good request";
  }
}

TEST(HostileInput, NoRuleIsLeftOver) {
  Scene scene;
  std::set<std::string> keys;
  for (const GoodRequest& good : scene.good) {
    ForEachHostile(*good.request, [&](const HostileRequest& h) { keys.insert(h.key); });
  }
  for (const auto& [key, rule] : HostileRules()) EXPECT_TRUE(keys.contains(key)) << key;
}

TEST(HostileInput, BadValuesAreRefusedByNameAndChangeNothing) {
  Scene scene;
  int refused = 0;
  for (const GoodRequest& good : scene.good) {
    const std::string before = Dump(scene.store);
    refused += SendBadValues(scene.server, good);
    EXPECT_EQ(Dump(scene.store), before) << good.name;
  }
  std::cout << refused << " bad requests refused\n";
  EXPECT_GT(refused, 1000);
}

TEST(HostileInput, OddValuesThatAreAllowedAreTaken) {
  auto scene = std::make_unique<Scene>();
  int taken = 0;
  for (size_t i = 0; i < scene->good.size(); ++i) {
    // The scene changes on the way; the requests are the same in every one.
    const GoodRequest good = scene->good[i];
    ForEachHostile(*good.request, [&](const HostileRequest& hostile) {
      const Verdict verdict = Judge(hostile);
      if (verdict == Verdict::kRefused) return;
      SCOPED_TRACE(Trace(good, hostile));
      const absl::Status status = Send(scene->server, good, *hostile.request);
      if (status.code() == absl::StatusCode::kInvalidArgument) {
        EXPECT_EQ(verdict, Verdict::kEither) << status;
        ExpectRefused(status, hostile);
      }
      EXPECT_NE(status.code(), absl::StatusCode::kInternal) << status;
      EXPECT_NE(status.code(), absl::StatusCode::kUnknown) << status;
      EXPECT_NE(status.code(), absl::StatusCode::kUnavailable) << status;
      const bool reads = absl::StartsWith(good.name, "Get") || absl::StartsWith(good.name, "List");
      if (status.ok() && !reads) scene = std::make_unique<Scene>();
      ++taken;
    });
    scene = std::make_unique<Scene>();
  }
  std::cout << taken << " odd requests taken\n";
}

}  // namespace
}  // namespace lowmark
