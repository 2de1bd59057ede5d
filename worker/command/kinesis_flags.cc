#include "worker/command/kinesis_flags.h"

namespace lowmark {

void DeclareKinesis(Options& options, KinesisSourceOptions& flags) {
  CLI::App& app = options.app();
  options.Add(app, "kinesis-stream", flags.stream, "For kinesis: the stream's name or ARN")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-region", flags.region,
           "Its region; by default that of the ARN, or AWS_REGION")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-endpoint", flags.endpoint,
           "URL of the service, where it is not AWS' own in the region")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-access-key-id", flags.access_key_id,
           "Credentials; by default they are looked for where AWS' tools do: environment, web "
           "identity, shared file, container, machine")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-secret-access-key", flags.secret_access_key,
           "The other half; better in LOWMARK_KINESIS_SECRET_ACCESS_KEY, where no list of "
           "processes shows it")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-session-token", flags.session_token,
           "The third part, of temporary credentials")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-profile", flags.profile,
           "Profile of the shared credentials file; by default AWS_PROFILE, or \"default\"")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-deaggregate", flags.deaggregate,
           "Take records apart that the Kinesis Producer Library aggregated; not to be turned off "
           "again")
      ->group("Source: Kinesis");
  options.Add(app, "kinesis-call-timeout", flags.call_timeout, "Time limit of one call to Kinesis")
      ->group("Source: Kinesis");
  options
      .Add(app, "kinesis-surplus-bytes", flags.surplus_bytes,
           "Record data kept in memory for shards that are far behind")
      ->group("Source: Kinesis");
}

}  // namespace lowmark
