#include "service/on_failure/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/on_failure/fake_destination.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class ForwarderTest : public testing::Test {
 protected:
  // A stream with that many dead letters, sent to a directory of its own name.
  void MakeStream(const std::string& stream, int letters) {
    Policy policy;
    policy.on_failure.destination = OnFailure::Directory{stream};
    ASSERT_TRUE(memory_.CreateStream(stream, policy).ok());
    ASSERT_TRUE(memory_.AddShards(stream, {{"0", {}}}).ok());
    for (int i = 0; i < letters; ++i) AddLetter(stream);
  }
  void AddLetter(const std::string& stream) {
    std::vector<ShardUpdate> updates = {{"0", [](const ShardView& view) {
                                           ShardChange change;
                                           change.changed = true;
                                           change.shard = view.shard;
                                           change.dead_letters.emplace_back();
                                           return absl::StatusOr<ShardChange>(change);
                                         }}};
    const std::vector<absl::Status> statuses = memory_.UpdateShards(stream, updates);
    ASSERT_TRUE(statuses[0].ok()) << statuses[0];
  }
  // "STREAM/ID" of all letters of the stream.
  std::vector<std::string> Keys(const std::string& stream) {
    std::vector<std::string> keys;
    const auto letters = memory_.ListDeadLetters(stream, "", 0, 100000);
    for (const DeadLetter& letter : *letters) keys.push_back(absl::StrCat(stream, "/", letter.id));
    return keys;
  }
  std::vector<Forwarding> Forwardings(const std::string& stream) {
    std::vector<Forwarding> forwardings;
    const auto letters = memory_.ListDeadLetters(stream, "", 0, 100000);
    for (const DeadLetter& letter : *letters) forwardings.push_back(letter.forwarding.value());
    return forwardings;
  }

  static ForwarderOptions Quick() {
    ForwarderOptions options;
    options.interval = absl::Milliseconds(5);
    options.threads = 2;
    options.batch = 3;
    options.unavailable = {absl::Milliseconds(10), 2, absl::Milliseconds(40), 0};
    options.refused = {absl::Milliseconds(10), 2, absl::Milliseconds(40), 0};
    options.stop_grace = absl::ZeroDuration();
    return options;
  }
  std::unique_ptr<Forwarder> Start(const ForwarderOptions& options = Quick()) {
    return std::make_unique<Forwarder>(
        store_, metrics_, options, network_.Maker(),
        [this](const std::string& stream, const absl::Status& status) {
          MutexLock lock(mutex_);
          notes_.push_back(absl::StrCat(stream, ": ", status.ok() ? "well" : status.message()));
        });
  }
  std::vector<std::string> Notes() {
    MutexLock lock(mutex_);
    return notes_;
  }
  bool AwaitTaken(const std::string& stream, size_t letters) {
    return network_.Await([&] { return network_.taken(stream).size() >= letters; });
  }
  // Nothing is in the store's outbox any more; the results come after the sends.
  bool AwaitEmpty() {
    return network_.Await([&] { return memory_.ListOutboxes("", 10)->empty(); });
  }
  double Value(const std::string& name, const std::string& outcome = "") {
    for (const auto& family : registry_.Collect()) {
      for (const auto& metric : family.metric) {
        if (family.name != name) continue;
        if (outcome.empty()) return metric.gauge.value;
        for (const auto& label : metric.label) {
          if (label.value == outcome) return metric.counter.value;
        }
      }
    }
    return -1;
  }

  std::atomic<int> hours_later_{0};
  MemoryStore memory_{[this] { return absl::Now() + absl::Hours(hours_later_.load()); }};
  FaultStore store_{memory_};
  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  FakeNetwork network_;
  Mutex mutex_;
  std::vector<std::string> notes_;
};

TEST_F(ForwarderTest, SendsEverythingOnceAndInOrderWhereNothingFails) {
  MakeStream("a", 10);
  MakeStream("b", 1);
  auto forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 10));
  ASSERT_TRUE(AwaitTaken("b", 1));
  AddLetter("b");
  ASSERT_TRUE(AwaitTaken("b", 2));
  ASSERT_TRUE(AwaitEmpty());
  forwarder.reset();
  EXPECT_EQ(network_.taken("a"), Keys("a"));
  EXPECT_EQ(network_.taken("b"), Keys("b"));
  EXPECT_LE(network_.largest_send(), 3u);
  EXPECT_THAT(Notes(), IsEmpty());
  for (const Forwarding& forwarding : Forwardings("a")) {
    EXPECT_TRUE(forwarding.forwarded.has_value());
    EXPECT_EQ(forwarding.tries, 1);
  }
}

TEST_F(ForwarderTest, ADestinationThatIsDownDelaysAndLosesNothing) {
  MakeStream("a", 7);
  network_.Answer("a", absl::UnavailableError("HTTP status 503"));
  auto forwarder = Start();
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 5; }));
  network_.Answer("a", absl::OkStatus());
  ASSERT_TRUE(AwaitTaken("a", 7));
  ASSERT_TRUE(AwaitEmpty());
  forwarder.reset();
  const std::set<std::string> taken(network_.taken("a").begin(), network_.taken("a").end());
  const std::vector<std::string> keys = Keys("a");
  EXPECT_EQ(taken, std::set<std::string>(keys.begin(), keys.end()));
  EXPECT_THAT(network_.taken("a"), SizeIs(7)) << "each once, and none while it was down";
  EXPECT_THAT(Notes(), ElementsAre("a: HTTP status 503", "a: well"));
  EXPECT_GE(Value("lowmark_dead_letter_forwards_total", "unavailable"), 5);
  EXPECT_EQ(Value("lowmark_dead_letter_forwards_total", "forwarded"), 7);
}

// While a destination fails one letter at a time is tried, and after growing pauses.
TEST_F(ForwarderTest, DoesNotSpinAtADestinationThatIsDown) {
  MakeStream("a", 100);
  network_.Answer("a", absl::UnavailableError("down"));
  ForwarderOptions options = Quick();
  // The second pause is an hour.
  options.unavailable = {absl::Milliseconds(10), 1e6, absl::Hours(1), 0};
  auto forwarder = Start(options);
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 2; }));
  // A hundred looks of another stream's later it was not tried again.
  MakeStream("b", 1);
  ASSERT_TRUE(AwaitTaken("b", 1));
  const int64_t looks = store_.Calls(StoreCall::kListOutboxes);
  ASSERT_TRUE(
      network_.Await([&] { return store_.Calls(StoreCall::kListOutboxes) >= looks + 100; }));
  forwarder.reset();
  EXPECT_EQ(network_.tries("a"), 2);
}

// The letter that is refused waits by itself; the error is the operator's to see.
TEST_F(ForwarderTest, OthersPassALetterThatIsRefused) {
  MakeStream("a", 5);
  const std::string bad = Keys("a")[1];
  network_.AnswerFor(bad, absl::FailedPreconditionError("HTTP status\n400"));
  auto forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 4));
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 4 + 3; })) << "it is tried again";
  forwarder.reset();
  EXPECT_THAT(network_.taken("a"), Not(Contains(bad)));
  EXPECT_THAT(Notes(), IsEmpty()) << "the destination is well";
  const Forwarding refused = Forwardings("a")[1];
  EXPECT_FALSE(refused.forwarded.has_value());
  EXPECT_GE(refused.tries, 2);
  EXPECT_EQ(refused.error, "HTTP status?400");
  EXPECT_GE(Value("lowmark_dead_letter_forwards_total", "refused"), 2);

  // Once it is taken, nothing waits any more.
  network_.AnswerFor(bad, absl::OkStatus());
  forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 5));
  ASSERT_TRUE(AwaitEmpty());
}

// One that brings its destination down each time is not always the one that is tried.
TEST_F(ForwarderTest, OthersPassALetterThatFailsItsDestination) {
  MakeStream("a", 9);
  const std::string bad = Keys("a")[0];
  network_.AnswerFor(bad, absl::UnavailableError("HTTP status 500"));
  auto forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 8));
  AddLetter("a");
  ASSERT_TRUE(AwaitTaken("a", 9));
}

// Destinations that hang hold half of the threads at most, once they are known.
TEST_F(ForwarderTest, DestinationsThatHangDoNotKeepOthers) {
  const std::vector<std::string> hanging = {"h0", "h1", "h2", "h3", "h4"};
  for (const std::string& stream : hanging) {
    MakeStream(stream, 3);
    network_.Answer(stream, absl::UnavailableError("down"));
  }
  auto forwarder = Start();
  for (const std::string& stream : hanging) {
    ASSERT_TRUE(network_.Await([&] { return network_.tries(stream) >= 2; }));
  }
  for (const std::string& stream : hanging) network_.Hold(stream);
  ASSERT_TRUE(network_.Await([&] {
    int waiting = 0;
    for (const std::string& stream : hanging) waiting += network_.waiting(stream);
    return waiting == 1;
  }));
  MakeStream("good", 10);
  EXPECT_TRUE(AwaitTaken("good", 10));
}

TEST_F(ForwarderTest, SurvivesAStoreThatFails) {
  MakeStream("a", 4);
  store_.Inject(StoreCall::kListOutboxes, Fault::kBefore, 2);
  store_.Inject(StoreCall::kClaimLetters, Fault::kBefore, 2);
  ForwarderOptions options = Quick();
  // A claim whose answer was lost comes free.
  options.claim = absl::Milliseconds(200);
  auto forwarder = Start(options);
  ASSERT_TRUE(AwaitTaken("a", 4));
  ASSERT_TRUE(AwaitEmpty());
  store_.Inject(StoreCall::kClaimLetters, Fault::kAfter, 1);
  store_.Inject(StoreCall::kSettleLetters, Fault::kBefore, 1);
  AddLetter("a");
  // What was sent and not noted is sent again.
  const std::string last = Keys("a")[4];
  ASSERT_TRUE(network_.Await([&] {
    const std::vector<std::string>& taken = network_.taken("a");
    return std::count(taken.begin(), taken.end(), last) >= 2;
  }));
  ASSERT_TRUE(AwaitEmpty());
  forwarder.reset();
  for (const std::string& key : Keys("a")) EXPECT_THAT(network_.taken("a"), Contains(key));
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(ForwarderTest, WhatADeadCoordinatorClaimedComesFree) {
  MakeStream("a", 3);
  ASSERT_THAT(memory_.ClaimLetters("a", 2, absl::Hours(1))->letters, SizeIs(2));
  auto forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 1));
  hours_later_ = 2;
  ASSERT_TRUE(AwaitTaken("a", 3));
  forwarder.reset();
  EXPECT_EQ(network_.taken("a")[0], Keys("a")[2]) << "the one that was free";
}

TEST_F(ForwarderTest, StoppingGivesBackWhatItClaimed) {
  MakeStream("a", 3);
  network_.Hold("a");
  auto forwarder = Start();
  ASSERT_TRUE(network_.Await([&] { return network_.waiting("a") == 1; }));
  forwarder.reset();
  EXPECT_THAT(network_.taken("a"), IsEmpty());
  for (const Forwarding& forwarding : Forwardings("a")) EXPECT_EQ(forwarding.tries, 0);
  EXPECT_THAT(memory_.ClaimLetters("a", 10, absl::Minutes(1))->letters, SizeIs(3));
}

// Several coordinators share the work: nothing is sent twice where nothing fails.
TEST_F(ForwarderTest, SideBySideEachLetterIsSentOnce) {
  MakeStream("a", 60);
  auto first = Start();
  auto second = Start();
  ASSERT_TRUE(AwaitTaken("a", 60));
  ASSERT_TRUE(AwaitEmpty());
  first.reset();
  second.reset();
  EXPECT_THAT(network_.taken("a"), SizeIs(60));
  EXPECT_THAT(network_.taken("a"), testing::UnorderedElementsAreArray(Keys("a")));
}

TEST_F(ForwarderTest, FollowsThePolicy) {
  MakeStream("a", 1);
  network_.Answer("a", absl::UnavailableError("down"));
  auto forwarder = Start();
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 1; }));
  ASSERT_TRUE(memory_
                  .UpdateStream("a", "",
                                [](Policy policy) {
                                  policy.on_failure.destination = OnFailure::Directory{"other"};
                                  return absl::StatusOr<Policy>(policy);
                                })
                  .ok());
  ASSERT_TRUE(AwaitTaken("other", 1));
}

TEST_F(ForwarderTest, ADestinationThatCannotBeMadeIsOneThatIsDown) {
  MakeStream("a", 2);
  network_.RefuseToMake(absl::FailedPreconditionError("the secret x is empty or cannot be read"));
  auto forwarder = Start();
  ASSERT_TRUE(
      network_.Await([&] { return Forwardings("a")[0].tries + Forwardings("a")[1].tries >= 2; }));
  EXPECT_THAT(Notes(), ElementsAre(HasSubstr("the secret x")));
  network_.RefuseToMake(absl::OkStatus());
  ASSERT_TRUE(AwaitTaken("a", 2));
}

// Kept while it works; made again after a failure, when secrets may be others.
TEST_F(ForwarderTest, MakesADestinationOnceUnlessItFails) {
  MakeStream("a", 9);
  auto forwarder = Start();
  ASSERT_TRUE(AwaitTaken("a", 9));
  EXPECT_TRUE(network_.Await([&] { return network_.made() == 1; }));
  network_.Answer("a", absl::UnavailableError("down"));
  AddLetter("a");
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 11; }));
  network_.Answer("a", absl::OkStatus());
  ASSERT_TRUE(AwaitTaken("a", 10));
  EXPECT_TRUE(network_.Await([&] { return network_.made() >= 3; }));
}

// One of the same name does not wait for what its namesake waited for.
TEST_F(ForwarderTest, ADeletedStreamIsForgotten) {
  MakeStream("a", 1);
  network_.Answer("a", absl::UnavailableError("down"));
  ForwarderOptions options = Quick();
  options.unavailable = {absl::Hours(1), 2, absl::Hours(1), 0};
  auto forwarder = Start(options);
  ASSERT_TRUE(network_.Await([&] { return network_.tries("a") >= 1; }));
  // Where both threads are at others, none is at it any more.
  for (const char* other : {"b", "c"}) {
    network_.Hold(other);
    MakeStream(other, 1);
    ASSERT_TRUE(network_.Await([&] { return network_.waiting(other) == 1; }));
  }
  ASSERT_TRUE(memory_.DeleteStream("a", "").ok());
  const int64_t looks = store_.Calls(StoreCall::kListOutboxes);
  ASSERT_TRUE(network_.Await([&] { return store_.Calls(StoreCall::kListOutboxes) >= looks + 3; }));
  network_.Answer("a", absl::OkStatus());
  MakeStream("a", 1);
  for (const char* other : {"b", "c"}) network_.Release(other);
  EXPECT_TRUE(AwaitTaken("a", 1));
}

TEST_F(ForwarderTest, ShowsWhatWaits) {
  MakeStream("a", 3);
  network_.Answer("a", absl::UnavailableError("down"));
  auto forwarder = Start();
  ASSERT_TRUE(network_.Await([&] { return Value("lowmark_dead_letters_waiting") == 3; }));
  ASSERT_TRUE(
      network_.Await([&] { return Value("lowmark_dead_letters_waiting_age_seconds") > 0; }));
  network_.Answer("a", absl::OkStatus());
  ASSERT_TRUE(network_.Await([&] { return Value("lowmark_dead_letters_waiting") == 0; }));
  EXPECT_EQ(Value("lowmark_dead_letters_waiting_age_seconds"), 0);
}

}  // namespace
}  // namespace lowmark
