// A streaming standby of a PostgreSQL, for tests of what a failover does.
//
//   auto standby = MakeStandby(primary, directory);   // follows the primary
//   MakeSynchronous(primary);                         // commits wait for it
//   CutOff(*standby);                                 // follows no more
//   primary.Kill();
//   Promote(*standby);                                // is the primary now
//
// What goes wrong is a failure of the test.
#ifndef LOWMARK_TESTS_SUPPORT_STANDBY_H_
#define LOWMARK_TESTS_SUPPORT_STANDBY_H_

#include <memory>
#include <string>

#include "service/dev/postgres_cluster.h"

namespace lowmark {

// Makes a copy of the server, which must run, in a directory that is not there yet
// and that PostgreSQL's user can reach, and starts it as standby.
std::unique_ptr<PostgresCluster> MakeStandby(const PostgresCluster& primary,
                                             const std::string& directory);

// From its return on, the primary acknowledges no commit before a standby has it.
void MakeSynchronous(const PostgresCluster& primary);

// Commits wait for no standby any more.
void MakeAsynchronous(const PostgresCluster& primary);

// Returns when the standby has all that the primary had.
void AwaitCaughtUp(const PostgresCluster& primary, const PostgresCluster& standby);

// What the primary does from now on does not reach the standby.
void CutOff(const PostgresCluster& standby);

// Returns when the standby can be written to.
void Promote(const PostgresCluster& standby);

// For libpq: whichever of the two can be written to.
std::string ConnectionStringOfBoth(const PostgresCluster& first, const PostgresCluster& second,
                                   const std::string& database);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_STANDBY_H_
