// Measures wrapping through a provider against a bare loop of the same Cryptoki calls on one session of the
// same SoftHSM2 token, made for it: Provider::wrap; wraps that are opened again (wrap_checked); wraps that
// another process of ours proves meanwhile (Prover); unwrapping and wrapping, as re-wrapping does; sessions
// of two threads. Alternating windows, the median of the pairs' ratios. Not a test. Usage: wrap_bench
// [--json] [DIRECTORY [WRAPS_PER_WINDOW [WINDOWS]]]     (DIRECTORY best on tmpfs; kesu-probe beside
// wrap_bench's build: bin/kesu-probe)
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/files.h"
#include "crypto/mac.h"
#include "hsm/register.h"
#include "provider/prover.h"
#include "provider/wrap_checked.h"

namespace {

using namespace kesu;
constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kPin = "correct-pin-4711";
bool g_json = false;
int g_wraps = 2000, g_windows = 15;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "wrap_bench: %s failed\n", what);
  std::exit(1);
}
double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<long>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// The module, past kesu: the login is the process's.
struct Bare {
  CK_FUNCTION_LIST* f = nullptr;
  CK_SESSION_HANDLE session = 0;
  CK_OBJECT_HANDLE key = 0;
  uint64_t counter = 0;

  explicit Bare(const KeyRef& ref) {
    void* library = ::dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
    auto get = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(::dlsym(library, "C_GetFunctionList"));
    must(get && get(&f) == CKR_OK, "C_GetFunctionList");
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16, found = 0;
    must(f->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK, "C_GetSlotList");
    for (CK_ULONG i = 0; i < count && !found; ++i) {
      CK_TOKEN_INFO info;
      if (f->C_GetTokenInfo(slots[i], &info) != CKR_OK || !(info.flags & CKF_TOKEN_INITIALIZED)) continue;
      must(f->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session) ==
               CKR_OK,
           "C_OpenSession");
      std::string label = ref.label;
      CK_ATTRIBUTE what{CKA_LABEL, label.data(), label.size()};
      must(f->C_FindObjectsInit(session, &what, 1) == CKR_OK &&
               f->C_FindObjects(session, &key, 1, &found) == CKR_OK &&
               f->C_FindObjectsFinal(session) == CKR_OK,
           "C_FindObjects");
    }
    must(found == 1, "looking for the key");
  }
  // C_EncryptInit, C_Encrypt; and back.
  void wraps(int n, bool back) {
    CK_BYTE nonce[12] = {}, aad[72] = {}, in[32] = {7}, out[64], opened[64];
    for (int i = 0; i < n; ++i) {
      ++counter;
      std::memcpy(nonce, &counter, sizeof counter);
      CK_GCM_PARAMS params{nonce, 12, 96, aad, sizeof aad, 128};
      CK_MECHANISM how{CKM_AES_GCM, &params, sizeof params};
      CK_ULONG size = sizeof out, plain = sizeof opened;
      must(f->C_EncryptInit(session, &how, key) == CKR_OK &&
               f->C_Encrypt(session, in, sizeof in, out, &size) == CKR_OK,
           "C_Encrypt");
      if (back)
        must(f->C_DecryptInit(session, &how, key) == CKR_OK &&
                 f->C_Decrypt(session, out, size, opened, &plain) == CKR_OK,
             "C_Decrypt");
    }
  }
};

// `reach`: what the ratio is meant to be, 0 for none.
void compare(const char* name, const char* against, int per_bare, int per_ours, double reach,
             const std::function<void()>& bare, const std::function<void()>& ours) {
  bare(), ours();
  std::vector<double> ratios, bares, ourses;
  for (int i = 0; i < g_windows; ++i) {
    double a = now();
    bare();
    double b = now();
    ours();
    double c = now();
    bares.push_back((b - a) / per_bare * 1e6), ourses.push_back((c - b) / per_ours * 1e6);
    ratios.push_back(bares.back() / ourses.back());
  }
  if (g_json)
    std::printf(
        "{\"case\":\"%s\",\"against\":\"%s\",\"ratio\":%.3f,\"bare_us\":%.2f,\"ours_us\":%.2f,"
        "\"reach\":%.2f}\n",
        name, against, median(ratios), median(bares), median(ourses), reach);
  else
    std::printf("%-36s %6.2f us   %-28s %6.2f us   ratio %.3f%s\n", name, median(ourses), against,
                median(bares), median(ratios),
                reach > 0 ? (median(ratios) >= reach ? "" : "  (below what is wanted)") : "");
  std::fflush(stdout);
}

void side_by_side(Provider& one, Provider& two, const std::function<void(Provider&)>& work) {
  std::thread other([&] { work(two); });
  work(one);
  other.join();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--json") g_json = true, --argc, ++argv;
  int only_bare = 0;
  if (argc > 2 && std::string_view(argv[1]) == "--bare") only_bare = std::atoi(argv[2]), argc -= 2, argv += 2;
  std::string dir = argc > 1 ? argv[1] : "/dev/shm";
  if (argc > 2) g_wraps = std::atoi(argv[2]);
  if (argc > 3) g_windows = std::atoi(argv[3]);
  dir += "/wrap_bench.XXXXXX";
  must(::mkdtemp(dir.data()) != nullptr, "mkdtemp");
  std::filesystem::create_directory(dir + "/tokens");
  write_file_durable(
      dir + "/softhsm2.conf",
      as_bytes("directories.tokendir = " + dir + "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"));
  write_file_durable(dir + "/pin", as_bytes(std::string(kPin) + "\n"), 0600);
  write_file_durable(dir + "/passphrase", as_bytes("correct horse battery staple\n"), 0600);
  ::setenv("SOFTHSM2_CONF", (dir + "/softhsm2.conf").c_str(), 1);
  {
    const Secret so = Secret::from(as_bytes("12345678")), pin = Secret::from(as_bytes(kPin));
    make_test_token(kModule, "bench", so, pin);
    const std::string uri =
        std::string("pkcs11:token=bench?module-path=") + kModule + "&pin-source=file:" + dir + "/pin";
    auto factory = provider_factory();
    auto provider = factory->open(uri);
    const KeyRef ref = provider->generate({KeyId(std::array<uint8_t, 16>{1}), 1}, KeyPurpose::wrap).ref;
    Bare bare(ref);
    const Secret key = Secret::from(Bytes(32, 7));
    const Bytes aad(72);
    const auto wraps = [&](Provider& p, int n) {
      for (int i = 0; i < n; ++i) p.wrap(ref, key, aad);
    };
    const int n = g_wraps;
    if (only_bare) {
      const double begun = now();
      bare.wraps(only_bare, true);
      std::printf("%.3f\n", now() - begun);
      std::filesystem::remove_all(dir);
      return 0;
    }
    compare(
        "wrap", "encrypt", n, n, 0.9, [&] { bare.wraps(n, false); }, [&] { wraps(*provider, n); });
    compare(
        "wrap_checked", "encrypt + decrypt", n, n, 0.9, [&] { bare.wraps(n, true); },
        [&] {
          for (int i = 0; i < n; ++i) wrap_checked(*provider, ref, key, aad, "one");
        });
    compare(
        "wrap_checked", "encrypt", n, n, 0, [&] { bare.wraps(n, false); },
        [&] {
          for (int i = 0; i < n; ++i) wrap_checked(*provider, ref, key, aad, "one");
        });
    const auto self = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    std::string probe = (self / "kesu-probe").string();
    for (auto up = self; !std::filesystem::exists(probe) && up.has_relative_path(); up = up.parent_path())
      probe = (up / "bin/kesu-probe").string();
    auto prover = Prover::start(probe, uri, provider->identity(), {ref});
    must(prover != nullptr, "starting the proving process (bin/kesu-probe)");
    const auto proven = [&](bool unwrap_first) {
      const WrappedKey old = provider->wrap(ref, key, aad);
      std::deque<Prover::Claim> claims;
      for (int i = 0; i < n; ++i) {
        const Secret opened = unwrap_first ? provider->unwrap(ref, old, aad) : Secret::from(key.reveal());
        Prover::Claim& c = claims.emplace_back();
        c.wrap = {provider->wrap(ref, opened, aad), aad, hmac_sha256(prover->tag_key(), opened.reveal()),
                  "one"};
        prover->submit(0, c);
      }
      for (Prover::Claim& c : claims) {
        prover->wait(c);
        must(c.verdict == Prover::Verdict::proven, "a proof");
      }
    };
    compare(
        "wrap, proven by a process", "encrypt", n, n, 0.9, [&] { bare.wraps(n, false); },
        [&] { proven(false); });
    compare(
        "re-wrap, proven by a process", "encrypt + decrypt", n, n, 0.7, [&] { bare.wraps(n, true); },
        [&] { proven(true); });
    prover.reset();
    auto second = provider->another();
    compare(
        "wrap, 2 threads, 2 sessions", "encrypt, 1 session", n, 2 * n, 0, [&] { bare.wraps(n, false); },
        [&] { side_by_side(*provider, *second, [&](Provider& p) { wraps(p, n); }); });
    auto soft = factory->open("soft:" + dir + "/keystore?create=yes&passphrase-source=file:" + dir +
                              "/passphrase&iterations=210000");
    const KeyRef sref = soft->generate({KeyId(std::array<uint8_t, 16>{2}), 1}, KeyPurpose::wrap).ref;
    auto soft2 = soft->another();
    const auto soft_wraps = [&](Provider& p) {
      for (int i = 0; i < n; ++i) wrap_checked(p, sref, key, aad, "one");
    };
    compare(
        "soft: wrap_checked, 2 threads", "soft: 1 thread", n, 2 * n, 0, [&] { soft_wraps(*soft); },
        [&] { side_by_side(*soft, *soft2, soft_wraps); });
    bare.f->C_CloseSession(bare.session);
  }
  std::filesystem::remove_all(dir);
  return 0;
}
