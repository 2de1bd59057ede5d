// Where credentials come from, against small servers, and how they are kept fresh.
#include "worker/source/kinesis/credentials.h"

#include <CivetServer.h>
#include <gmock/gmock.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/process/mutex.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

// --- Keeping them fresh ----------------------------------------------------------

// Gives credentials that live for an hour, or an error.
class FakePlace : public CredentialPlace {
 public:
  FakePlace(const absl::Time& now, const absl::Status& error, int& fetches)
      : now_(now), error_(error), fetches_(fetches) {}
  absl::StatusOr<AwsCredentials> Fetch() override {
    ++fetches_;
    if (!error_.ok()) return error_;
    return AwsCredentials{absl::StrCat("key", fetches_), "secret", "", now_ + absl::Hours(1)};
  }

 private:
  const absl::Time& now_;
  const absl::Status& error_;
  int& fetches_;
};

class Fresh : public testing::Test {
 protected:
  Fresh() {
    std::vector<std::unique_ptr<CredentialPlace>> places;
    places.push_back(std::make_unique<FakePlace>(now_, first_, first_fetches_));
    places.push_back(std::make_unique<FakePlace>(now_, second_, second_fetches_));
    credentials_ = std::make_unique<Credentials>(std::move(places), [this] { return now_; });
  }
  std::string Key() {
    auto got = credentials_->Get();
    return got.ok() ? got->access_key_id : absl::StrCat(got.status().ToString());
  }

  absl::Time now_ = kStart;
  absl::Status first_ = absl::NotFoundError("not in use");
  absl::Status second_;
  int first_fetches_ = 0;
  int second_fetches_ = 0;
  std::unique_ptr<Credentials> credentials_;
};

TEST_F(Fresh, AreFetchedAgainBeforeTheyExpire) {
  EXPECT_EQ(Key(), "key1");
  now_ = kStart + absl::Minutes(54);
  EXPECT_EQ(Key(), "key1");
  now_ = kStart + absl::Minutes(55);
  EXPECT_EQ(Key(), "key2");
  EXPECT_EQ(first_fetches_, 2);
}

// As a machine's metadata gives them while AWS cannot renew them, or where the clock is ahead.
TEST(Credentials, ThatAreExpiredWhenTheyComeAreAnErrorForWhoWaitedForThem) {
  struct Gate {
    Mutex mutex;
    CondVar changed;
    int looks = 0;  // at the clock: each call's first, before it fetches or waits
    bool open = false;
  } gate;
  class ExpiredPlace : public CredentialPlace {
   public:
    explicit ExpiredPlace(Gate& gate) : gate_(gate) {}
    absl::StatusOr<AwsCredentials> Fetch() override {
      MutexLock lock(gate_.mutex);
      while (!gate_.open) gate_.changed.Wait(gate_.mutex);
      return AwsCredentials{"key", "secret", "", kStart - absl::Minutes(1)};
    }

   private:
    Gate& gate_;
  };
  std::vector<std::unique_ptr<CredentialPlace>> places;
  places.push_back(std::make_unique<ExpiredPlace>(gate));
  Credentials credentials(std::move(places), [&] {
    MutexLock lock(gate.mutex);
    ++gate.looks;
    gate.changed.NotifyAll();
    return kStart;
  });
  std::vector<absl::StatusOr<AwsCredentials>> got(2, absl::UnknownError("not called"));
  std::vector<std::thread> callers;
  for (auto& each : got) callers.emplace_back([&] { each = credentials.Get(); });
  {
    MutexLock lock(gate.mutex);
    while (gate.looks < 2) gate.changed.Wait(gate.mutex);
    gate.open = true;
    gate.changed.NotifyAll();
  }
  for (std::thread& caller : callers) caller.join();
  if (got[0].ok()) std::swap(got[0], got[1]);
  EXPECT_TRUE(absl::IsUnavailable(got[0].status()));
  EXPECT_THAT(std::string(got[0].status().message()), HasSubstr("is this machine's clock right?"));
}

TEST_F(Fresh, AreUsedToTheirEndWhereNoneCanBeFetched) {
  EXPECT_EQ(Key(), "key1");
  second_ = absl::UnavailableError("down");
  now_ = kStart + absl::Minutes(56);
  EXPECT_EQ(Key(), "key1");
  EXPECT_EQ(Key(), "key1");
  EXPECT_EQ(second_fetches_, 2) << "each use asks again";
  now_ += absl::Seconds(15);
  EXPECT_EQ(Key(), "key1");
  EXPECT_EQ(second_fetches_, 3);
  now_ = kStart + absl::Minutes(60);
  EXPECT_EQ(Key(), "UNAVAILABLE: AWS credentials: down");
  second_ = absl::OkStatus();
  EXPECT_EQ(Key(), "key5");
}

TEST_F(Fresh, APlaceThatIsSetUpWrongIsNotPassedOver) {
  first_ = absl::FailedPreconditionError("half of it is missing");
  EXPECT_EQ(Key(), "UNAUTHENTICATED: AWS credentials: half of it is missing");
  EXPECT_EQ(second_fetches_, 0);
}

TEST_F(Fresh, NoneAnywhereSaysWhereWasLooked) {
  second_ = absl::NotFoundError("not in use");
  EXPECT_THAT(Key(), HasSubstr("UNAUTHENTICATED: no AWS credentials: neither given, nor in the "
                               "environment (AWS_ACCESS_KEY_ID)"));
}

TEST_F(Fresh, ThoseThatWereRefusedAreNotUsedAgain) {
  const auto refused = credentials_->Get();
  credentials_->Drop(*refused);
  EXPECT_EQ(Key(), "key2");
  credentials_->Drop(*refused);  // by another thread, late
  EXPECT_EQ(Key(), "key2");
}

TEST_F(Fresh, ManyThreadsFetchOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { right += Key() == "key1" ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 8);
  EXPECT_EQ(second_fetches_, 1);
}

// --- Places ------------------------------------------------------------------------

// Answers each path as it is told, and remembers what it was asked.
class Server : public CivetHandler {
 public:
  // As if it were new; stopping one takes civetweb two seconds.
  static Server& Fresh() {
    static Server server;
    MutexLock lock(server.mutex_);
    server.answers_.clear();
    server.calls_.clear();
    return server;
  }
  std::string url() { return absl::StrCat("http://127.0.0.1:", server_.getListeningPorts()[0]); }
  void Answer(const std::string& call, const std::string& body, int status = 200) {
    MutexLock lock(mutex_);
    answers_[call] = {status, body};
  }
  std::vector<std::string> calls() {
    MutexLock lock(mutex_);
    return calls_;
  }

  bool handleGet(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePost(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePut(CivetServer*, mg_connection* connection) override { return Serve(connection); }

 private:
  Server() : server_({"listening_ports", "127.0.0.1:0", "num_threads", "2"}) {
    server_.addHandler("/", this);
  }
  bool Serve(mg_connection* connection) {
    const mg_request_info* info = mg_get_request_info(connection);
    std::string call = absl::StrCat(info->request_method, " ", info->local_uri);
    std::string said = call;
    for (const char* name :
         {"Authorization", "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"}) {
      if (const char* value = mg_get_header(connection, name)) absl::StrAppend(&said, " ", value);
    }
    char chunk[4096];
    for (int got = 0; (got = mg_read(connection, chunk, sizeof chunk)) > 0;) {
      absl::StrAppend(&said, " ", std::string(chunk, got));
    }
    MutexLock lock(mutex_);
    calls_.push_back(said);
    const auto found = answers_.find(call);
    const auto& [status, body] =
        found == answers_.end() ? std::pair<int, std::string>(404, "none") : found->second;
    mg_printf(connection, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status, body.size(),
              body.c_str());
    return true;
  }

  Mutex mutex_;
  std::map<std::string, std::pair<int, std::string>> answers_ LOWMARK_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ LOWMARK_GUARDED_BY(mutex_);
  CivetServer server_;
};

constexpr char kDocument[] =
    R"({"Code": "Success", "AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T",
        "Expiration": "2026-11-26T09:00:00Z"})";
const AwsCredentials kFromDocument = {"AK", "SK", "T", absl::FromUnixSeconds(1795683600)};

class Places : public testing::Test {
 protected:
  Places() {
    std::string name = "/tmp/lowmark-credentials-XXXXXX";
    directory_ = mkdtemp(name.data());
    environment_["HOME"] = directory_;
    environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  }
  ~Places() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  absl::StatusOr<AwsCredentials> Get() {
    options_.environment = [this](const std::string& name) { return environment_[name]; };
    HttpClient http;
    return Credentials(CredentialPlaces(options_, http)).Get();
  }
  std::string Problem() { return std::string(Get().status().message()); }

  std::string directory_;
  std::map<std::string, std::string> environment_;
  CredentialOptions options_;
  Server& server_ = Server::Fresh();
};

TEST_F(Places, GivenOnesAreUsed) {
  options_.fixed = {"A", "S", "T", absl::InfiniteFuture()};
  environment_["AWS_ACCESS_KEY_ID"] = "other";
  EXPECT_EQ(*Get(), options_.fixed);
}

TEST_F(Places, TheEnvironment) {
  environment_["AWS_ACCESS_KEY_ID"] = "A";
  EXPECT_THAT(Problem(), HasSubstr("AWS_SECRET_ACCESS_KEY is not"));
  environment_["AWS_SECRET_ACCESS_KEY"] = "S";
  environment_["AWS_SESSION_TOKEN"] = "T";
  EXPECT_EQ(*Get(), (AwsCredentials{"A", "S", "T"}));
}

TEST_F(Places, TheSharedFile) {
  Write(".aws/credentials",
        "# a comment\n[default]\naws_access_key_id = A\naws_secret_access_key=S+/=\n\n"
        "[ other ]\r\naws_access_key_id = B\r\naws_secret_access_key = S2\r\n"
        "aws_session_token = T\r\n[role]\nrole_arn = arn:x\n");
  EXPECT_EQ(*Get(), (AwsCredentials{"A", "S+/=", ""}));
  environment_["AWS_PROFILE"] = "other";
  EXPECT_EQ(*Get(), (AwsCredentials{"B", "S2", "T"}));
  // Whoever names a profile wants it, whatever else there is.
  environment_["AWS_ACCESS_KEY_ID"] = "C";
  environment_["AWS_SECRET_ACCESS_KEY"] = "C";
  options_.profile = "default";
  EXPECT_EQ(Get()->access_key_id, "A");
  options_.profile = "role";
  EXPECT_THAT(Problem(), HasSubstr("roles, processes and single sign-on are not followed"));
  options_.profile = "missing";
  EXPECT_THAT(Problem(), HasSubstr("there is no profile [missing]"));
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = directory_ + "/nowhere";
  EXPECT_THAT(Problem(), HasSubstr("cannot read the shared credentials file"));
}

TEST_F(Places, AContainersEndpoint) {
  server_.Answer("GET /role", kDocument);
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_.url() + "/role";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = Write("token", "secret\n");
  EXPECT_EQ(*Get(), kFromDocument);
  EXPECT_THAT(server_.calls(), ElementsAre("GET /role secret"));
  // The token's file changes: each time it is read anew.
  Write("token", "newer");
  EXPECT_EQ(*Get(), kFromDocument);
  EXPECT_EQ(server_.calls().back(), "GET /role newer");

  server_.Answer("GET /role", "no", 500);
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kUnavailable);
  server_.Answer("GET /role", "no", 403);
  EXPECT_THAT(Problem(), HasSubstr("endpoint answered 403: no"));
  server_.Answer("GET /role", "{}");
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Places, TheContainersTokenStaysOnTheMachine) {
  for (const char* url : {"http://example.com/x", "http://127.0.0.1.example.com/",
                          "http://127.0.0.1@example.com/", "ftp://127.0.0.1/", "x"}) {
    environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    EXPECT_THAT(Problem(), HasSubstr("must be https, or of this machine")) << url;
  }
}

TEST_F(Places, WebIdentity) {
  server_.Answer("POST /", R"(<AssumeRoleWithWebIdentityResponse>
    <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK</AccessKeyId>
    <SecretAccessKey>SK</SecretAccessKey><SessionToken>T</SessionToken>
    <Expiration>2026-11-26T09:00:00Z</Expiration></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>)");
  environment_["AWS_ENDPOINT_URL_STS"] = server_.url();
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "a.b+c/d=\n");
  EXPECT_THAT(Problem(), HasSubstr("AWS_ROLE_ARN is not"));
  environment_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  EXPECT_EQ(*Get(), kFromDocument);
  EXPECT_EQ(server_.calls().back(),
            "POST / Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"
            "RoleArn=arn%3aaws%3aiam%3a%3a1%3arole%2fr&RoleSessionName=lowmark-worker&"
            "WebIdentityToken=a.b%2bc%2fd%3d");

  server_.Answer("POST /", "<Error><Code>InvalidIdentityToken</Code></Error>", 400);
  EXPECT_THAT(Problem(), HasSubstr("STS answered 400"));
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = directory_ + "/nowhere";
  EXPECT_THAT(Problem(), HasSubstr("cannot read the web identity token"));
}

TEST_F(Places, TheMachinesMetadata) {
  environment_.erase("AWS_EC2_METADATA_DISABLED");
  environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server_.url();
  server_.Answer("PUT /latest/api/token", "TOKEN");
  server_.Answer("GET /latest/meta-data/iam/security-credentials/", "my-role\n");
  server_.Answer("GET /latest/meta-data/iam/security-credentials/my-role", kDocument);
  EXPECT_EQ(*Get(), kFromDocument);
  EXPECT_THAT(server_.calls(),
              ElementsAre("PUT /latest/api/token 21600",
                          "GET /latest/meta-data/iam/security-credentials/ TOKEN",
                          "GET /latest/meta-data/iam/security-credentials/my-role TOKEN"));
  // A machine without the service has no credentials, and that is all.
  environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1";
  EXPECT_THAT(Problem(), HasSubstr("no AWS credentials"));
}

}  // namespace
}  // namespace lowmark
