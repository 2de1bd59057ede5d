// An empty store of each kind, for tests that run on all of them.
//
//   INSTANTIATE_TEST_SUITE_P(Stores, WireTest, EveryStore(), StoreName);
#ifndef LOWMARK_TESTS_INTEGRATION_STORE_UNDER_TEST_H_
#define LOWMARK_TESTS_INTEGRATION_STORE_UNDER_TEST_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "store/store.h"

namespace lowmark {

class OpenStore {
 public:
  virtual ~OpenStore() = default;
  virtual Store& store() = 0;
  // All that it holds, to see whether something changed.
  virtual std::string Dump() = 0;
};

struct StoreKind {
  std::string name;
  std::unique_ptr<OpenStore> (*open)();
};

StoreKind MemoryKind();
// Each with a database of its own.
StoreKind PostgresKind();

inline auto EveryStore() { return testing::Values(MemoryKind(), PostgresKind()); }
inline std::string StoreName(const testing::TestParamInfo<StoreKind>& info) {
  return info.param.name;
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_STORE_UNDER_TEST_H_
