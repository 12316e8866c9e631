// Measures the ledger. Not a test.
//   ledger_bench [--json] DIRECTORY [ENTRIES [THREADS]]
//     durable appends of many threads against one commit for each entry, on the disk DIRECTORY lies on
//   ledger_bench [--json] --vault VAULT KESU [ROUNDS]
//     of a vault as make_vault leaves it: what the full check hashes against a bare loop over the same bytes,
//     and the commands `ledger verify` and `status` of the program KESU, whole: time and peak memory
// Alternating pairs, medians: single runs on a shared machine say little. --json: one line for each case.
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/crew.h"
#include "base/error.h"
#include "base/files.h"
#include "crypto/random.h"
#include "store/store.h"

namespace {

using namespace kesu;

bool g_json = false;

void show(const Json& line, const std::string& text) {
  std::printf("%s\n", g_json ? line.canonical().c_str() : text.c_str());
  std::fflush(stdout);
}
// Fractions as text: kesu's JSON has integers only.
std::string number(double v, int digits) {
  char out[40];
  std::snprintf(out, sizeof out, "%.*f", digits, v);
  return out;
}

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

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
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

int measure_appends(const std::string& directory, uint64_t entries, unsigned threads) {
  std::string vault = path_join(directory, "kesu-bench-vault");
  std::filesystem::remove_all(vault);
  SystemClock clock;
  auto store = open_sqlite_store(vault, clock, system_random(), {.create = true});
  store->append({{.type = "genesis",
                  .nodes = {{.id = id_of("vlt", 1), .is = "open", .d = std::string(64, '0')}},
                  .edges = {},
                  .body = Json(Json::Object{})}});
  std::vector<double> one, many, ratio;
  uint64_t next = 0;
  for (int round = 0; round < 5; ++round) {
    uint64_t few = std::max<uint64_t>(entries / 50, 1), share = entries / 5;
    one.push_back(appends(*store, next, few, 1));
    many.push_back(appends(*store, next += few, share, threads));
    ratio.push_back(many.back() / one.back());
    next += share;
  }
  const double r = median(ratio);
  show(Json::object({{"case", "durable-appends"},
                     {"threads", threads},
                     {"one_sync_each_per_s", static_cast<int64_t>(median(one))},
                     {"grouped_per_s", static_cast<int64_t>(median(many))},
                     {"ratio", number(r, 1)}}),
       "durable appends: one sync each " + number(median(one), 0) + " /s; " + std::to_string(threads) +
           " threads " + number(median(many), 0) + " /s, " + number(r, 1) + " times");
  store.reset();
  std::filesystem::remove_all(vault);
  return 0;
}

// The bytes of a ledger, one after the other.
struct Bytes3 {
  struct Entry {
    size_t salt, header, body, end;  // where each begins
  };
  std::string bytes;
  std::vector<Entry> entries;
  ByteView part(size_t from, size_t to) const {
    return as_bytes(std::string_view(bytes).substr(from, to - from));
  }
};

Bytes3 read_all(const std::string& vault) {
  SystemClock clock;
  auto store = open_sqlite_store(vault, clock, system_random(), {.read_only = true});
  Bytes3 out;
  store->read_raw([](const RawState&) {},
                  [&](const RawRow& raw) {
                    Bytes3::Entry e{out.bytes.size(), 0, 0, 0};
                    out.bytes += to_text(raw.salt);
                    e.header = out.bytes.size();
                    out.bytes += raw.header;
                    e.body = out.bytes.size();
                    out.bytes += raw.body;
                    e.end = out.bytes.size();
                    out.entries.push_back(e);
                  },
                  [](const RawStream&) {});
  return out;
}

// Leaves by the given function on all threads, a share each; then the tree, on one.
Digest32 root_of(const Bytes3& ledger, const std::function<Digest32(const Bytes3::Entry&)>& leaf_of,
                 const std::function<Digest32(std::vector<Digest32>&)>& tree) {
  std::vector<Digest32> leaves(ledger.entries.size());
  Crew crew;
  crew.run([&](unsigned worker) {
    const size_t from = leaves.size() * worker / crew.size(), to = leaves.size() * (worker + 1) / crew.size();
    for (size_t i = from; i < to; ++i) leaves[i] = leaf_of(ledger.entries[i]);
  });
  return tree(leaves);
}

// The bare loop: OpenSSL and the definition, level by level (RFC 6962 §2.1).
Digest32 bare_sha256(EVP_MD_CTX* ctx, std::initializer_list<ByteView> parts) {
  Digest32 out;
  EVP_DigestInit_ex2(ctx, nullptr, nullptr);
  for (ByteView p : parts) EVP_DigestUpdate(ctx, p.data(), p.size());
  EVP_DigestFinal_ex(ctx, out.data(), nullptr);
  return out;
}
EVP_MD_CTX* bare_context() {
  thread_local EVP_MD_CTX* ctx = [] {
    EVP_MD_CTX* made = EVP_MD_CTX_new();
    EVP_DigestInit_ex2(made, EVP_sha256(), nullptr);
    return made;
  }();
  return ctx;
}
Digest32 bare_tree(std::vector<Digest32>& level) {
  static constexpr uint8_t kNode[] = {0x01};
  EVP_MD_CTX* ctx = bare_context();
  while (level.size() > 1) {
    size_t to = 0, from = 0;
    for (; from + 1 < level.size(); from += 2)
      level[to++] = bare_sha256(ctx, {ByteView(kNode), ByteView(level[from]), ByteView(level[from + 1])});
    if (from < level.size()) level[to++] = level[from];
    level.resize(to);
  }
  return level[0];
}

struct Ran {
  double seconds = 0;
  long kib = 0;
};
Ran run(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& w : command) words.push_back(const_cast<char*>(w.c_str()));
  words.push_back(nullptr);
  Ran out;
  rusage used{};
  int status = -1;
  out.seconds = seconds([&] {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!std::freopen("/dev/null", "w", stdout)) ::_exit(127);
      ::execv(words[0], words.data());
      ::_exit(127);
    }
    ::wait4(child, &status, 0, &used);
  });
  out.kib = used.ru_maxrss;
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 2)
    throw Error(Code::failed, command[0] + " did not run");
  return out;
}

void measure_command(const std::string& name, const std::vector<std::string>& command, int rounds) {
  std::vector<double> times;
  long kib = 0;
  for (int i = 0; i < rounds; ++i) {
    Ran ran = run(command);
    times.push_back(ran.seconds);
    kib = std::max(kib, ran.kib);
  }
  show(Json::object({{"case", name}, {"seconds", number(median(times), 3)}, {"peak_mib", kib / 1024}}),
       name + ": " + number(median(times), 3) + " s, peak " + std::to_string(kib / 1024) + " MiB");
}

int measure_vault(const std::string& vault, const std::string& kesu, int rounds) {
  std::vector<double> bare, ours, ratio;
  size_t entries = 0, bytes = 0;
  {
    const Bytes3 ledger = read_all(vault);
    entries = ledger.entries.size();
    bytes = ledger.bytes.size();
    for (int i = 0; i < rounds; ++i) {
      Digest32 theirs_root, our_root;
      bare.push_back(seconds([&] {
        static constexpr uint8_t kLeaf[] = {0x00};
        theirs_root = root_of(
            ledger,
            [&](const Bytes3::Entry& e) {
              EVP_MD_CTX* ctx = bare_context();
              Digest32 body = bare_sha256(ctx, {ledger.part(e.salt, e.header), ledger.part(e.body, e.end)});
              return bare_sha256(ctx, {ByteView(kLeaf), ledger.part(e.header, e.body), ByteView(body)});
            },
            bare_tree);
      }));
      ours.push_back(seconds([&] {
        our_root = root_of(
            ledger,
            [&](const Bytes3::Entry& e) {
              const std::string_view text(ledger.bytes);
              return leaf_hash(text.substr(e.header, e.body - e.header),
                               body_hash(ledger.part(e.salt, e.header), text.substr(e.body, e.end - e.body)));
            },
            [](std::vector<Digest32>& leaves) { return tree_root(leaves); });
      }));
      ratio.push_back(bare.back() / ours.back());
      if (theirs_root != our_root) throw Error(Code::failed, "the two roots differ");
    }
  }
  const unsigned threads = Crew().size();
  show(Json::object({{"case", "ledger-verify-hashing"},
                     {"entries", entries},
                     {"bytes", bytes},
                     {"threads", threads},
                     {"bare_seconds", number(median(bare), 3)},
                     {"kesu_seconds", number(median(ours), 3)},
                     {"ratio", number(median(ratio), 2)}}),
       "hashing of " + std::to_string(entries) + " entries, " + std::to_string(bytes >> 20) + " MiB, " +
           std::to_string(threads) + " threads: bare loop " + number(median(bare), 3) + " s, kesu " +
           number(median(ours), 3) + " s, ratio " + number(median(ratio), 2));
  measure_command("ledger-verify", {kesu, "--vault", vault, "ledger", "verify"}, rounds);
  measure_command("status", {kesu, "--vault", vault, "status"}, rounds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  g_json = !words.empty() && words[0] == "--json";
  if (g_json) words.erase(words.begin());
  auto count = [&](size_t i, uint64_t other) {
    return words.size() > i ? std::strtoull(words[i].c_str(), nullptr, 10) : other;
  };
  try {
    if (words.size() >= 3 && words[0] == "--vault")
      return measure_vault(words[1], words[2], static_cast<int>(std::max<uint64_t>(count(3, 5), 1)));
    if (!words.empty() && words[0][0] != '-')
      return measure_appends(words[0], count(1, 100000), static_cast<unsigned>(count(2, 64)));
    std::fprintf(stderr,
                 "usage: ledger_bench [--json] DIRECTORY [ENTRIES [THREADS]]\n"
                 "       ledger_bench [--json] --vault VAULT KESU [ROUNDS]\n");
    return 2;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.message().c_str(), e.cause().c_str());
    return 1;
  }
}
