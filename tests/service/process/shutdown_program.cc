// Waits for the end with Shutdown, like a server: prints "ready", then, when the
// end is asked for, "draining". With the argument "stuck" the drain never ends.
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>

#include "service/process/shutdown.h"

int main(int argc, char**) {
  lowmark::Shutdown shutdown;
  // A thread that was started later must not be the one that dies of a signal.
  std::thread([] { pause(); }).detach();
  std::cout << "ready" << std::endl;
  shutdown.Wait();
  std::cout << "draining" << std::endl;
  while (argc > 1) pause();
  return 0;
}
