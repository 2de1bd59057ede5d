#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "worker/source/kinesis/credentials.h"
#include "worker/source/kinesis/json_field.h"

namespace lowmark {
namespace {

// Endpoints of the own machine answer at once, or are not there.
constexpr absl::Duration kLocalConnect = absl::Seconds(1);
constexpr absl::Duration kLocalAnswer = absl::Seconds(5);
constexpr size_t kShownBytes = 200;

absl::Status NotInUse() { return absl::NotFoundError("not in use"); }

absl::StatusOr<std::string> ReadFile(const std::string& what, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return absl::FailedPreconditionError(absl::StrCat("cannot read ", what, " ", path));
  return text.str();
}

// The body of an answer with status 200. Other statuses are `what`'s trouble: they pass
// where the server says that it is its own.
absl::StatusOr<std::string> Body(const char* what, const absl::StatusOr<HttpAnswer>& answer) {
  if (!answer.ok()) return answer.status();
  if (answer->status == 200) return answer->body;
  const std::string message =
      absl::StrCat(what, " answered ", answer->status, ": ", answer->body.substr(0, kShownBytes));
  const bool passes = answer->status >= 500 || answer->status == 429;
  return passes ? absl::UnavailableError(message) : absl::FailedPreconditionError(message);
}

// The document that the endpoints of containers and machines answer with.
absl::StatusOr<AwsCredentials> ParseDocument(const char* what, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  AwsCredentials found;
  found.access_key_id = JsonText(json, "AccessKeyId");
  found.secret_access_key = JsonText(json, "SecretAccessKey");
  found.session_token = JsonText(json, "Token");
  std::string problem;
  const std::string expiration = JsonText(json, "Expiration");
  if (found.access_key_id.empty() || found.secret_access_key.empty() ||
      (!expiration.empty() &&
       !absl::ParseTime(absl::RFC3339_full, expiration, &found.expiration, &problem))) {
    return absl::UnavailableError(absl::StrCat(what, " answered with no credentials"));
  }
  return found;
}

class FixedPlace : public CredentialPlace {
 public:
  explicit FixedPlace(AwsCredentials fixed) : fixed_(std::move(fixed)) {}
  absl::StatusOr<AwsCredentials> Fetch() override { return fixed_; }

 private:
  const AwsCredentials fixed_;
};

class EnvironmentPlace : public CredentialPlace {
 public:
  explicit EnvironmentPlace(Environment environment) : environment_(std::move(environment)) {}
  absl::StatusOr<AwsCredentials> Fetch() override {
    AwsCredentials found;
    found.access_key_id = environment_("AWS_ACCESS_KEY_ID");
    found.secret_access_key = environment_("AWS_SECRET_ACCESS_KEY");
    found.session_token = environment_("AWS_SESSION_TOKEN");
    if (found.access_key_id.empty()) return NotInUse();
    if (!found.secret_access_key.empty()) return found;
    return absl::FailedPreconditionError(
        "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  }

 private:
  const Environment environment_;
};

// The value of an element of STS' answer: no element in it has attributes, is empty, or
// holds anything that is escaped.
std::string XmlText(const std::string& xml, const std::string& tag) {
  const size_t start = xml.find("<" + tag + ">");
  const size_t end = xml.find("</" + tag + ">");
  if (start == std::string::npos || end == std::string::npos || end < start) return "";
  return xml.substr(start + tag.size() + 2, end - start - tag.size() - 2);
}

std::string UrlEncode(const std::string& text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || absl::StrContains("-_.~", absl::string_view(&c, 1))) {
      encoded += c;
    } else {
      absl::StrAppend(&encoded, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return encoded;
}

// A token of the identity that the process has elsewhere (Kubernetes), which STS exchanges.
class WebIdentityPlace : public CredentialPlace {
 public:
  WebIdentityPlace(Environment environment, std::string region, HttpClient& http)
      : environment_(std::move(environment)), region_(std::move(region)), http_(http) {}

  absl::StatusOr<AwsCredentials> Fetch() override {
    const std::string path = environment_("AWS_WEB_IDENTITY_TOKEN_FILE");
    const std::string role = environment_("AWS_ROLE_ARN");
    if (path.empty()) return NotInUse();
    if (role.empty()) {
      return absl::FailedPreconditionError(
          "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    }
    auto token = ReadFile("the web identity token", path);
    if (!token.ok()) return token.status();
    auto body = Body("STS", http_.Do(MakeRequest(role, *token)));
    if (!body.ok()) return body.status();
    AwsCredentials found;
    found.access_key_id = XmlText(*body, "AccessKeyId");
    found.secret_access_key = XmlText(*body, "SecretAccessKey");
    found.session_token = XmlText(*body, "SessionToken");
    std::string problem;
    if (found.access_key_id.empty() || found.secret_access_key.empty() ||
        !absl::ParseTime(absl::RFC3339_full, XmlText(*body, "Expiration"), &found.expiration,
                         &problem)) {
      return absl::UnavailableError("STS answered with no credentials");
    }
    return found;
  }

 private:
  HttpRequest MakeRequest(const std::string& role, const std::string& token) const {
    HttpRequest request;
    request.method = "POST";
    request.url = environment_("AWS_ENDPOINT_URL_STS");
    if (request.url.empty()) {
      request.url = absl::StrCat("https://sts.", region_, ".amazonaws.com",
                                 absl::StartsWith(region_, "cn-") ? ".cn" : "", "/");
    }
    std::string session = environment_("AWS_ROLE_SESSION_NAME");
    if (session.empty()) session = "lowmark-worker";
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = absl::StrCat(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=", UrlEncode(role),
        "&RoleSessionName=", UrlEncode(session),
        "&WebIdentityToken=", UrlEncode(std::string(absl::StripAsciiWhitespace(token))));
    return request;
  }

  const Environment environment_;
  const std::string region_;
  HttpClient& http_;
};

// ~/.aws/credentials: [PROFILE], then KEY = VALUE.
class FilePlace : public CredentialPlace {
 public:
  FilePlace(Environment environment, std::string profile)
      : environment_(std::move(environment)), profile_(std::move(profile)) {
    asked_ = !profile_.empty();
    if (!asked_) profile_ = environment_("AWS_PROFILE");
    asked_ = asked_ || !profile_.empty();
    if (profile_.empty()) profile_ = "default";
  }

  absl::StatusOr<AwsCredentials> Fetch() override {
    std::string path = environment_("AWS_SHARED_CREDENTIALS_FILE");
    if (path.empty()) path = absl::StrCat(environment_("HOME"), "/.aws/credentials");
    auto text = ReadFile("the shared credentials file", path);
    if (!text.ok()) return asked_ ? text.status() : NotInUse();
    AwsCredentials found;
    const bool there = ReadProfile(*text, found);
    if (!there && !asked_) return NotInUse();
    if (!there) {
      return absl::FailedPreconditionError(
          absl::StrCat("there is no profile [", profile_, "] in ", path));
    }
    if (!found.access_key_id.empty() && !found.secret_access_key.empty()) return found;
    return absl::FailedPreconditionError(
        absl::StrCat("profile [", profile_, "] in ", path,
                     " has no aws_access_key_id and aws_secret_access_key; roles, processes and "
                     "single sign-on are not followed"));
  }

 private:
  bool ReadProfile(const std::string& text, AwsCredentials& found) const {
    bool inside = false, there = false;
    std::istringstream lines(text);
    for (std::string raw; std::getline(lines, raw);) {
      absl::string_view line = absl::StripAsciiWhitespace(raw);
      if (line.empty() || line[0] == '#' || line[0] == ';') continue;
      if (absl::ConsumePrefix(&line, "[")) {
        line = absl::StripAsciiWhitespace(absl::StripSuffix(line, "]"));
        inside = line == profile_;
        there = there || inside;
        continue;
      }
      const size_t equals = line.find('=');
      if (!inside || equals == absl::string_view::npos) continue;
      const absl::string_view key = absl::StripAsciiWhitespace(line.substr(0, equals));
      const std::string value(absl::StripAsciiWhitespace(line.substr(equals + 1)));
      if (key == "aws_access_key_id") found.access_key_id = value;
      if (key == "aws_secret_access_key") found.secret_access_key = value;
      if (key == "aws_session_token") found.session_token = value;
    }
    return there;
  }

  const Environment environment_;
  std::string profile_;
  bool asked_ = false;
};

// The endpoint that a container's agent serves (ECS, EKS pod identity).
class ContainerPlace : public CredentialPlace {
 public:
  ContainerPlace(Environment environment, HttpClient& http)
      : environment_(std::move(environment)), http_(http) {}

  absl::StatusOr<AwsCredentials> Fetch() override {
    const std::string relative = environment_("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const std::string full = environment_("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative.empty() && full.empty()) return NotInUse();
    HttpRequest request;
    request.url = relative.empty() ? full : "http://169.254.170.2" + relative;
    request.timeout = kLocalAnswer;
    request.connect_timeout = kLocalConnect;
    if (!MayBeAsked(request.url)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "AWS_CONTAINER_CREDENTIALS_FULL_URI is ", full, ": must be https, or of this machine"));
    }
    std::string token = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const auto path = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !path.empty()) {
      auto text = ReadFile("the container's authorization token", path);
      if (!text.ok()) return text.status();
      token = std::string(absl::StripAsciiWhitespace(*text));
    }
    if (absl::StrContains(token, "\n") || absl::StrContains(token, "\r")) {
      return absl::FailedPreconditionError("the container's authorization token has several lines");
    }
    if (!token.empty()) request.headers = {"Authorization: " + token};
    auto body = Body("the container's credentials endpoint", http_.Do(request));
    if (!body.ok()) return body.status();
    return ParseDocument("the container's credentials endpoint", *body);
  }

 private:
  // The token must not leave the machine in the clear.
  static bool MayBeAsked(const std::string& url) {
    absl::string_view host = url;
    if (absl::ConsumePrefix(&host, "https://")) return true;
    if (!absl::ConsumePrefix(&host, "http://")) return false;
    host = host.substr(0, host.find_first_of("/?#"));
    if (absl::StrContains(host, "@")) return false;
    host = host.substr(0, absl::StartsWith(host, "[") ? host.find(']') + 1 : host.find(':'));
    for (const char* own :
         {"localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"}) {
      if (host == own) return true;
    }
    return false;
  }

  const Environment environment_;
  HttpClient& http_;
};

// The metadata service of an EC2 machine, version 2.
class MachinePlace : public CredentialPlace {
 public:
  MachinePlace(Environment environment, HttpClient& http)
      : environment_(std::move(environment)), http_(http) {}

  absl::StatusOr<AwsCredentials> Fetch() override {
    if (absl::EqualsIgnoreCase(environment_("AWS_EC2_METADATA_DISABLED"), "true")) {
      return NotInUse();
    }
    HttpRequest request = MakeRequest("/latest/api/token");
    request.method = "PUT";
    request.headers = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"};
    const auto answer = http_.Do(request);
    // Most machines are not Amazon's, and have nobody there.
    if (!answer.ok()) return NotInUse();
    auto token = Body("the machine's metadata service", answer);
    if (!token.ok()) return token.status();
    const char* path = "/latest/meta-data/iam/security-credentials/";
    auto role = Ask(path, *token);
    if (!role.ok()) return role.status();
    auto document = Ask(absl::StrCat(path, absl::StripAsciiWhitespace(*role)), *token);
    if (!document.ok()) return document.status();
    return ParseDocument("the machine's metadata service", *document);
  }

 private:
  HttpRequest MakeRequest(const std::string& path) const {
    std::string endpoint = environment_("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (endpoint.empty()) endpoint = "http://169.254.169.254";
    HttpRequest request;
    request.url = absl::StrCat(absl::StripSuffix(endpoint, "/"), path);
    request.timeout = kLocalAnswer;
    request.connect_timeout = kLocalConnect;
    return request;
  }
  absl::StatusOr<std::string> Ask(const std::string& path, const std::string& token) {
    HttpRequest request = MakeRequest(path);
    request.headers = {"X-aws-ec2-metadata-token: " + token};
    return Body("the machine's metadata service", http_.Do(request));
  }

  const Environment environment_;
  HttpClient& http_;
};

}  // namespace

std::vector<std::unique_ptr<CredentialPlace>> CredentialPlaces(const CredentialOptions& options,
                                                               HttpClient& http) {
  std::vector<std::unique_ptr<CredentialPlace>> places;
  if (!options.fixed.access_key_id.empty()) {
    places.push_back(std::make_unique<FixedPlace>(options.fixed));
    return places;
  }
  const Environment& environment = options.environment;
  // Who names a profile wants that one.
  if (options.profile.empty()) places.push_back(std::make_unique<EnvironmentPlace>(environment));
  if (options.profile.empty()) {
    places.push_back(std::make_unique<WebIdentityPlace>(environment, options.region, http));
  }
  places.push_back(std::make_unique<FilePlace>(environment, options.profile));
  places.push_back(std::make_unique<ContainerPlace>(environment, http));
  places.push_back(std::make_unique<MachinePlace>(environment, http));
  return places;
}

}  // namespace lowmark
