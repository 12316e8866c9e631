// Measures, on the disk that DIRECTORY lies on: durable appends of many threads against one commit for each
// entry, the full check, and the tree. Not a test. Usage: ledger_bench DIRECTORY [ENTRIES [THREADS]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "crypto/random.h"
#include "store/store.h"

namespace {

using namespace kesu;

std::string id_of(std::string_view kind, uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(kind) + "-" + std::string(32 - digits.size(), '0') + digits;
}

Event seal_intended(uint64_t batch) {
  std::string bat = id_of("bat", batch);
  return {.type = "seal-intended",
          .nodes = {{.id = bat, .is = "intended", .of = id_of("ds", 1), .n = 1}},
          .edges = {{id_of("key", 1) + ".1", bat}},
          .body = Json::object(
              {{"location", "file:///srv/data"}, {"objects", Json::array({id_of("obj", batch)})}})};
}

double seconds(const std::function<void()>& work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double appends(Store& store, uint64_t first, uint64_t count, unsigned threads) {
  return static_cast<double>(count) / seconds([&] {
           std::vector<std::thread> workers;
           for (unsigned t = 0; t < threads; ++t)
             workers.emplace_back([&, t] {
               for (uint64_t i = t; i < count; i += threads) store.append({seal_intended(first + i)});
             });
           for (auto& worker : workers) worker.join();
         });
}

int run(const std::string& directory, uint64_t entries, unsigned threads) {
  std::string vault = path_join(directory, "kesu-bench-vault");
  std::filesystem::remove_all(vault);
  SystemClock clock;
  auto store = open_sqlite_store(vault, clock, system_random(), {.create = true});
  store->append({{.type = "genesis",
                  .nodes = {{.id = id_of("vlt", 1), .is = "open", .d = std::string(64, '0')}},
                  .edges = {},
                  .body = Json(Json::Object{})}});
  // Alternating pairs, medians: single runs on a shared machine say little.
  std::vector<double> one, many;
  uint64_t next = 0;
  for (int round = 0; round < 5; ++round) {
    uint64_t few = std::max<uint64_t>(entries / 50, 1), share = entries / 5;
    one.push_back(appends(*store, next, few, 1));
    many.push_back(appends(*store, next += few, share, threads));
    next += share;
  }
  std::sort(one.begin(), one.end());
  std::sort(many.begin(), many.end());
  std::printf("durable appends, one sync each:   %9.0f /s\n", one[2]);
  std::printf("durable appends, %4u threads:     %9.0f /s   %.1f times\n", threads, many[2],
              many[2] / one[2]);
  uint64_t size = store->size();
  std::vector<Digest32> leaves;
  double t = seconds([&] { leaves = store->leaves(size); });
  std::printf("leaves of %llu entries read:     %9.3f s\n", static_cast<unsigned long long>(size), t);
  t = seconds([&] { store->read(0, size, [](const StoredEntry&) { return true; }); });
  std::printf("entries read and checked:         %9.3f s\n", t);
  size_t findings = 0;
  t = seconds([&] {
    findings = verify_store(
                   *store, [](const SavedCheckpoint&) { return std::string(); },
                   [](const StoredEntry&) { return std::vector<std::string>(); },
                   [](const StoredEntry&) { return std::vector<std::pair<std::string, std::string>>(); })
                   .size();
  });
  std::printf("full check:                       %9.3f s   %zu findings\n", t, findings);
  leaves.resize(1000000);
  t = seconds([&] { tree_root(leaves); });
  std::printf("root of 1,000,000 leaves:         %9.3f s\n", t);
  store.reset();
  std::filesystem::remove_all(vault);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ledger_bench DIRECTORY [ENTRIES [THREADS]]\n");
    return 2;
  }
  try {
    return run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100000,
               argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 64);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.message().c_str(), e.cause().c_str());
    return 1;
  }
}
