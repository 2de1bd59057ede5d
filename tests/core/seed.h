// The seed of a random test: from LOWMARK_TEST_SEED, or of the moment. A failure
// prints it, so that the run can be repeated.
#ifndef LOWMARK_TESTS_CORE_SEED_H_
#define LOWMARK_TESTS_CORE_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <random>

namespace lowmark {

inline uint64_t TestSeed() {
  if (const char* given = std::getenv("LOWMARK_TEST_SEED"))
    return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_CORE_SEED_H_
