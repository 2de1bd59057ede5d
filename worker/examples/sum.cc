// A complete worker: adds up the "amount" of orders, and says which orders have
// none, so that these are retried and in the end set aside.
//
//   lowmark-example COORDINATOR DIRECTORY
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "worker/handler/function.h"
#include "worker/source/file/file_source.h"
#include "worker/worker.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: lowmark-example COORDINATOR DIRECTORY\n", stderr), 2;
  sigset_t signals;  // taken by a thread of our own, below
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::mutex mutex;
  double sum = 0;
  auto handler = std::make_shared<lowmark::FunctionHandler>([&](const lowmark::Batch& batch) {
    std::vector<std::string> failed;
    for (const lowmark::Record& record : batch.records) {
      const size_t at = record.data.find("\"amount\":");
      if (at == std::string::npos) {
        failed.push_back(record.sequence);
        continue;
      }
      std::lock_guard lock(mutex);
      sum += std::strtod(record.data.c_str() + at + 9, nullptr);
    }
    return lowmark::HandlerResult::Failed(failed, "NoAmount", "an order without amount");
  });

  lowmark::FileSourceOptions files;
  files.directory = argv[2];
  auto source = lowmark::FileSource::Create(files);
  lowmark::WorkerOptions options;
  options.coordinator = argv[1];
  options.stream = "orders";
  auto worker = lowmark::Worker::Create(options, *source, handler);
  if (!worker.ok()) return std::fprintf(stderr, "%s\n", worker.status().ToString().c_str()), 2;

  std::thread([&signals, &worker] {
    int signal = 0;
    sigwait(&signals, &signal);
    (*worker)->Stop();
  }).detach();
  const absl::Status end = (*worker)->Run();
  std::printf("sum %.2f, %s\n", sum, end.ToString().c_str());
  return end.ok() ? 0 : 1;
}
