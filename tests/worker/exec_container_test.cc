// An exec handler in a container whose first process is the worker: what a handler leaves
// behind becomes the worker's own.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "absl/time/clock.h"
#include "service/process/child_process.h"
#include "worker/handler/exec.h"

namespace lowmark {
namespace {

class ContainerTest : public testing::Test {
 protected:
  // As for a container's first process, orphans below this one come to it.
  void SetUp() override { ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); }
  void TearDown() override { prctl(PR_SET_CHILD_SUBREAPER, 0); }

  // Whether a child has ended that nobody waited for; it is reaped by this.
  static bool AnyZombie() { return waitpid(-1, nullptr, WNOHANG) > 0; }
};

constexpr char kLeavesSome[] = "sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & ";

TEST_F(ContainerTest, HandlersLeaveNoZombies) {
  Batch batch;
  batch.records = {{"1", "", absl::UnixEpoch(), "one"}};
  for (const char* end : {"exit 0", "wait"}) {
    batch.deadline = absl::Now() + absl::Seconds(end == std::string("wait") ? 1 : 60);
    auto handler = ExecHandler::Create(kLeavesSome + std::string(end));
    ASSERT_TRUE(handler.ok()) << handler.status();
    (*handler)->Process(batch);
    EXPECT_FALSE(AnyZombie()) << end;
  }
}

TEST_F(ContainerTest, RuntimesLeaveNoZombies) {
  {
    auto child =
        ChildProcess::Start({.argv = {"/bin/sh", "-c", kLeavesSome + std::string("wait")}});
    ASSERT_TRUE(child.ok()) << child.status();
    (*child)->Kill();
  }
  EXPECT_FALSE(AnyZombie());
}

}  // namespace
}  // namespace lowmark
