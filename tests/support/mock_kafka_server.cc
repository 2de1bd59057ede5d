// Kafka for programs that are tried by hand or by the documentation's test: a cluster
// of one broker, on loopback, that creates a topic when it is first written to. Prints
// its address, and ends with its standard input.
#include <cstdio>
#include <iostream>
#include <string>

#include "tests/support/mock_kafka.h"

int main() {
  const lowmark::MockKafka kafka;
  std::cout << kafka.brokers() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
  }
  return 0;
}
