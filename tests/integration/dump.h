// All that a store holds, as text, to see whether a call changed anything.
#ifndef LOWMARK_TESTS_INTEGRATION_DUMP_H_
#define LOWMARK_TESTS_INTEGRATION_DUMP_H_

#include <string>

#include "store/store.h"

namespace lowmark {

// Streams, shards, workers, dead letters and audit, read through the store.
std::string Dump(Store& store);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_DUMP_H_
