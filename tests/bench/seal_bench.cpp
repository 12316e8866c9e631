// Measures sealing and opening of one file against bare loops that do the same work with nothing around it:
// pread, EVP, pwrite; same chunk, same number of threads, no preallocation on either side. Alternating pairs,
// medians. Not a test.
//   seal_bench DIRECTORY [--mib N] [--chunk KIB] [--threads N] [--rounds N] [--only TEXT] [--json]
// DIRECTORY is best on tmpfs. --json prints one line a case:
// {"name", "ours", "bare" (seconds, medians), "ratio" (bare ÷ ours, median of pairs), "cpu_ratio"}; "bare"
// alone of write-file; small files:
// {"name", "us_each", "cpu_us_each", "copy_us_each", "copy_cpu_us_each"}.
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "crypto/random.h"
#include "seal/files.h"

namespace {

using namespace kesu;

struct Options {
  std::string directory, only;
  uint64_t mib = 1024;
  uint32_t chunk = kDefaultChunk;
  unsigned threads = processors();
  int rounds = 7;
  bool json = false;
};

void must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

double now(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// By the clock, and of all threads' processor time: the latter suffers less from other load.
struct Cost {
  double wall = 0, cpu = 0;
};
Cost cost_of(const std::function<void()>& work) {
  const double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  work();
  return {now(CLOCK_MONOTONIC) - wall, now(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}
double median(const std::vector<Cost>& costs, double Cost::*what) {
  std::vector<double> v;
  for (const Cost& c : costs) v.push_back(c.*what);
  return median(v);
}

// What the bare loops do beside encryption.
enum class With { nothing, sha256, fingerprints };

void spread(unsigned threads, const std::function<void()>& work) {
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
}

// One direction over one descriptor pair. A record is chunk + 16 bytes on the sealed side.
void bare_loop(const Options& o, bool seal, With with, int in, int out, uint64_t count) {
  std::atomic<uint64_t> next{0};
  spread(o.threads, [&] {
    const size_t chunk = o.chunk, record = chunk + kTagBytes;
    std::vector<uint8_t> from(record), to(record);
    uint8_t key[32] = {1}, nonce[12] = {}, digest[32];
    const EVP_CIPHER* gcm = EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new(), *gmac = EVP_CIPHER_CTX_new();
    EVP_MD_CTX* md = EVP_MD_CTX_new();
    must(EVP_CipherInit_ex(ctx, gcm, nullptr, key, nullptr, seal) == 1 &&
             EVP_EncryptInit_ex(gmac, gcm, nullptr, key, nullptr) == 1,
         "EVP");
    int n = 0;
    for (uint64_t i; (i = next++) < count;) {
      std::memcpy(nonce, &i, sizeof i);
      const size_t size = seal ? chunk : record;
      must(::pread(in, from.data(), size, static_cast<off_t>(i * size)) == static_cast<ssize_t>(size),
           "pread");
      if (with == With::fingerprints)
        for (size_t at = 0; at < chunk; at += 65536) {
          const uint8_t none[12] = {};
          uint8_t tag[16];
          const size_t block = std::min<size_t>(65536, chunk - at);
          must(EVP_EncryptInit_ex(gmac, nullptr, nullptr, nullptr, none) == 1 &&
                   EVP_EncryptUpdate(gmac, nullptr, &n, from.data() + at, static_cast<int>(block)) == 1 &&
                   EVP_EncryptFinal_ex(gmac, tag, &n) == 1 &&
                   EVP_CIPHER_CTX_ctrl(gmac, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1,
               "GMAC");
          must(HMAC(EVP_sha256(), key, 32, tag, 16, digest, nullptr) != nullptr, "HMAC");
        }
      // Without a real key the tag of what was never sealed so does not fit: decryption is timed, its
      // verdict is not asked for.
      must(EVP_CipherInit_ex(ctx, nullptr, nullptr, nullptr, nonce, -1) == 1 &&
               EVP_CipherUpdate(ctx, to.data(), &n, from.data(), static_cast<int>(chunk)) == 1,
           "EVP");
      if (seal)
        must(EVP_EncryptFinal_ex(ctx, to.data() + chunk, &n) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, to.data() + chunk) == 1,
             "EVP");
      else
        must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, from.data() + chunk) == 1 &&
                 EVP_DecryptFinal_ex(ctx, to.data() + chunk, &n) <= 1,
             "EVP");
      if (with == With::sha256)
        must(EVP_DigestInit_ex(md, EVP_sha256(), nullptr) == 1 &&
                 EVP_DigestUpdate(md, to.data(), record) == 1 && EVP_DigestFinal_ex(md, digest, nullptr) == 1,
             "SHA-256");
      const size_t put = seal ? record : chunk;
      must(::pwrite(out, to.data(), put, static_cast<off_t>(i * put)) == static_cast<ssize_t>(put), "pwrite");
    }
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(gmac);
    EVP_MD_CTX_free(md);
  });
}

// The data key itself serves as its wrap: no provider is measured here.
WrappedKey no_wrap(const Secret& key, ByteView) {
  return {WrapAlg::aes256_gcm, Bytes(12), Bytes(key.reveal().begin(), key.reveal().end())};
}
Secret no_unwrap(const Slot& slot, ByteView) { return Secret::from(slot.wrapped.blob); }

SealRequest request_with(const Options& o, With with, const Secret& fingerprint_key) {
  SealRequest r;
  r.object = system_random().id<ObjectId>();
  r.version = {system_random().id<KeyId>(), 1};
  r.chunk = o.chunk;
  r.bind_payload = with == With::sha256;
  if (with == With::fingerprints) r.fingerprint_key = &fingerprint_key;
  r.metadata.name = "bench";
  return r;
}

void report(const Options& o, const std::string& name, const std::vector<Cost>& ours,
            const std::vector<Cost>& bare) {
  std::vector<double> wall, cpu;
  for (size_t i = 0; i < ours.size(); ++i) {
    wall.push_back(bare[i].wall / ours[i].wall);
    cpu.push_back(bare[i].cpu / ours[i].cpu);
  }
  const double mine = median(ours, &Cost::wall), theirs = median(bare, &Cost::wall);
  if (o.json)
    std::printf("{\"name\":\"%s\",\"ours\":%.6f,\"bare\":%.6f,\"ratio\":%.3f,\"cpu_ratio\":%.3f}\n",
                name.c_str(), mine, theirs, median(wall), median(cpu));
  else
    std::printf("%-24s ours %7.4f s (%5.2f GiB/s)  bare %7.4f s  ratio %.3f  of processor time %.3f\n",
                name.c_str(), mine, static_cast<double>(o.mib) / 1024 / mine, theirs, median(wall),
                median(cpu));
  std::fflush(stdout);
}

class Bench {
 public:
  explicit Bench(const Options& o) : o_(o), key_(system_random().secret(64)) {
    source_ = path_join(o.directory, "seal_bench.source");
    const Fd in(::open(source_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    must(in.ok(), source_.c_str());
    const Bytes block = system_random().bytes(1 << 20);
    for (uint64_t i = 0; i < o.mib; ++i) write_all(in.get(), block, source_);
    source_fd_ = Fd(::open(source_.c_str(), O_RDONLY | O_CLOEXEC));
    null_ = Fd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    Crew crew(o.threads);
    sealed_ = seal_file_to(request_with(o, With::nothing, key_), source_fd_.get(), o.directory, no_wrap,
                           system_random(), crew)
                  .part;
    sealed_fd_ = Fd(::open(sealed_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  ~Bench() {
    ::unlink(source_.c_str());
    ::unlink(sealed_.c_str());
  }

  void run() {
    struct Kind {
      const char* suffix;
      With with;
    };
    for (const Kind& k :
         {Kind{"", With::nothing}, {"-bound", With::sha256}, {"-fingerprints", With::fingerprints}}) {
      pairs(
          std::string("seal-file") + k.suffix, [&] { seal_file(k.with); }, [&] { bare_file(true, k.with); });
      pairs(
          std::string("seal-null") + k.suffix, [&] { seal_null(k.with); }, [&] { bare_null(true, k.with); });
    }
    pairs(
        "open-file", [&] { open_file(); }, [&] { bare_file(false, With::nothing); });
    pairs(
        "open-null", [&] { open_null(); }, [&] { bare_null(false, With::nothing); });
    write_file();
  }

 private:
  void pairs(const std::string& name, const std::function<void()>& ours, const std::function<void()>& bare) {
    if (name.find(o_.only) == std::string::npos) return;
    std::vector<Cost> a, b;
    timed(ours);
    for (int i = 0; i < o_.rounds; ++i) {
      if (i % 2) a.push_back(timed(ours));
      b.push_back(timed(bare));
      if (i % 2 == 0) a.push_back(timed(ours));
    }
    report(o_, name, a, b);
  }
  // Removing what was written is not part of it.
  Cost timed(const std::function<void()>& work) {
    const Cost cost = cost_of(work);
    if (!written_.empty()) ::unlink(written_.c_str());
    written_.clear();
    return cost;
  }
  // What the kernel takes for a new file, with nothing to read and nothing to encrypt: the end of what
  // anybody can reach.
  void write_file() {
    const std::string name = "write-file";
    if (name.find(o_.only) == std::string::npos) return;
    std::vector<double> wall;
    for (int i = 0; i < o_.rounds; ++i)
      wall.push_back(timed([&] {
                       written_ = path_join(o_.directory, "seal_bench.written");
                       const Fd out(::open(written_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
                       must(out.ok(), written_.c_str());
                       std::atomic<uint64_t> next{0};
                       spread(o_.threads, [&] {
                         const std::vector<uint8_t> from(o_.chunk, 1);
                         for (uint64_t at; (at = next++) < count();)
                           must(::pwrite(out.get(), from.data(), o_.chunk,
                                         static_cast<off_t>(at * o_.chunk)) == static_cast<ssize_t>(o_.chunk),
                                "pwrite");
                       });
                     }).wall);
    if (o_.json)
      std::printf("{\"name\":\"%s\",\"bare\":%.6f}\n", name.c_str(), median(wall));
    else
      std::printf("%-24s pwrite alone %7.4f s\n", name.c_str(), median(wall));
  }
  uint64_t count() const { return (o_.mib << 20) / o_.chunk; }
  void bare_file(bool seal, With with) {
    const std::string path = path_join(o_.directory, "seal_bench.bare");
    const Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    must(out.ok(), path.c_str());
    bare_loop(o_, seal, with, seal ? source_fd_.get() : sealed_fd_.get(), out.get(), count());
    written_ = path;
  }
  void bare_null(bool seal, With with) {
    bare_loop(o_, seal, with, seal ? source_fd_.get() : sealed_fd_.get(), null_.get(), count());
  }
  void seal_file(With with) {
    Crew crew(o_.threads);
    const SealedFile f = seal_file_to(request_with(o_, with, key_), source_fd_.get(), o_.directory, no_wrap,
                                      system_random(), crew);
    written_ = f.part;
  }
  void seal_null(With with) {
    Crew crew(o_.threads);
    seal_file_stream(
        request_with(o_, with, key_), source_fd_.get(),
        [&](ByteView b) { must(::write(null_.get(), b.data(), b.size()) > 0, "write"); }, no_wrap,
        system_random(), crew);
  }
  void open_file() {
    Crew crew(o_.threads);
    const std::string to = path_join(o_.directory, "seal_bench.opened");
    open_to_file(sealed_, no_unwrap, [&](const Metadata&) { return to; }, crew,
                 {.replace = true, .durable = false});
    written_ = to;
  }
  void open_null() {
    Crew crew(o_.threads);
    open_object(
        file_input(sealed_fd_.get()), no_unwrap, [](const Metadata&) {},
        [&](ByteView b) { must(::write(null_.get(), b.data(), b.size()) > 0, "write"); }, &crew);
  }

  const Options& o_;
  const Secret key_;
  std::string source_, sealed_, written_;
  Fd source_fd_, sealed_fd_, null_;
};

// Many small files, each sealed and removed by one thread: what one costs besides its wrap and durability.
void small_files(const Options& o) {
  if (std::string("seal-4KiB open-4KiB").find(o.only) == std::string::npos) return;
  constexpr int kFiles = 5000;
  const std::string source = path_join(o.directory, "seal_bench.small"),
                    to = path_join(o.directory, "seal_bench.back");
  write_all(Fd(::open(source.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600)).get(), system_random().bytes(4096),
            source);
  std::vector<Cost> seal, open, copy;
  const Secret none;
  for (int round = 0; round < o.rounds; ++round) {
    Crew crew(1);
    std::string part;
    seal.push_back(cost_of([&] {
      for (int i = 0; i < kFiles; ++i) {
        if (!part.empty()) ::unlink(part.c_str());
        const Fd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
        part = seal_file_to(request_with(o, With::sha256, none), in.get(), o.directory, no_wrap,
                            system_random(), crew)
                   .part;
      }
    }));
    open.push_back(cost_of([&] {
      for (int i = 0; i < kFiles; ++i)
        open_to_file(part, no_unwrap, [&](const Metadata&) { return to; }, crew,
                     {.replace = true, .durable = false});
    }));
    ::unlink(part.c_str());
    copy.push_back(cost_of([&] {
      uint8_t bytes[4096];
      for (int i = 0; i < kFiles; ++i) {
        const Fd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
        const Fd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        must(::pread(in.get(), bytes, sizeof bytes, 0) == 4096 &&
                 ::pwrite(out.get(), bytes, sizeof bytes, 0) == 4096,
             "copy");
        ::unlink(to.c_str());
      }
    }));
  }
  ::unlink(source.c_str());
  ::unlink(to.c_str());
  for (const auto& [name, times] : {std::pair("seal-4KiB", seal), {"open-4KiB", open}}) {
    const auto each = [](const std::vector<Cost>& v, double Cost::*what) {
      return median(v, what) / kFiles * 1e6;
    };
    const double us = each(times, &Cost::wall), cpu = each(times, &Cost::cpu),
                 plain = each(copy, &Cost::wall), plain_cpu = each(copy, &Cost::cpu);
    if (o.json)
      std::printf(
          "{\"name\":\"%s\",\"us_each\":%.2f,\"cpu_us_each\":%.2f,\"copy_us_each\":%.2f,\"copy_cpu_us_each\":"
          "%.2f}\n",
          name, us, cpu, plain, plain_cpu);
    else
      std::printf("%-24s %.2f us each, %.2f of processor time (copying the file: %.2f, %.2f)\n", name, us,
                  cpu, plain, plain_cpu);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoul(argv[++i], nullptr, 10) : 0; };
    if (word == "--json")
      o.json = true;
    else if (word == "--mib")
      o.mib = number();
    else if (word == "--chunk")
      o.chunk = static_cast<uint32_t>(number()) * 1024;
    else if (word == "--threads")
      o.threads = static_cast<unsigned>(number());
    else if (word == "--rounds")
      o.rounds = static_cast<int>(number());
    else if (word == "--only" && i + 1 < argc)
      o.only = argv[++i];
    else
      o.directory = word;
  }
  if (o.directory.empty() || !o.mib || !o.chunk || !o.threads || o.rounds < 1) {
    std::fprintf(
        stderr,
        "usage: seal_bench DIRECTORY [--mib N] [--chunk KIB] [--threads N] [--rounds N] [--only TEXT] "
        "[--json]\n");
    return 2;
  }
  if (!o.json)
    std::printf("%llu MiB, chunks of %u KiB, %u threads, AES-256-GCM, medians of %d pairs\n",
                static_cast<unsigned long long>(o.mib), o.chunk / 1024, o.threads, o.rounds);
  Bench(o).run();
  small_files(o);
  return 0;
}
