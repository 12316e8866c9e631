// The least that sealing a tree of small files takes: read, encrypt under a key of its own, write beside a
// header of 4,096 bytes under a passing name, rename; two threads, one syncfs at the end. No key is kept:
// nothing opens this. Usage: small_bench SOURCE DESTINATION [THREADS]
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace {
constexpr size_t kHeader = 4096, kTag = 16;

[[noreturn]] void fail(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

struct Context {
  EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
  EVP_CIPHER* gcm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  Context() = default;
  Context(const Context&) = delete;
  ~Context() {
    EVP_CIPHER_free(gcm);
    EVP_CIPHER_CTX_free(cipher);
  }
};

void seal(const Context& c, const fs::path& source, const fs::path& to) {
  const int in = ::open(source.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat st {};
  if (in < 0 || ::fstat(in, &st) != 0) fail(source);
  const size_t size = static_cast<size_t>(st.st_size);
  std::vector<unsigned char> plain(size), out(kHeader + size + kTag);
  if (::read(in, plain.data(), size) != static_cast<ssize_t>(size)) fail(source);
  ::close(in);
  unsigned char key[32], nonce[12] = {};
  int n = 0;
  if (RAND_bytes(key, sizeof key) != 1 || EVP_EncryptInit_ex2(c.cipher, c.gcm, key, nonce, nullptr) != 1 ||
      EVP_EncryptUpdate(c.cipher, out.data() + kHeader, &n, plain.data(), static_cast<int>(size)) != 1 ||
      EVP_EncryptFinal_ex(c.cipher, out.data() + kHeader + size, &n) != 1 ||
      EVP_CIPHER_CTX_ctrl(c.cipher, EVP_CTRL_AEAD_GET_TAG, kTag, out.data() + kHeader + size) != 1)
    fail("encrypt");
  const std::string part = to.string() + ".part";
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, out.data(), out.size()) != static_cast<ssize_t>(out.size())) fail(part);
  ::close(fd);
  if (::rename(part.c_str(), to.c_str()) != 0) fail(to);
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: small_bench SOURCE DESTINATION [THREADS]\n", stderr), 2;
  const fs::path from = argv[1], to = argv[2];
  std::vector<fs::path> files;
  fs::create_directories(to);
  for (const auto& e : fs::recursive_directory_iterator(from)) {
    if (e.is_directory()) fs::create_directories(to / fs::relative(e.path(), from));
    if (e.is_regular_file()) files.push_back(fs::relative(e.path(), from));
  }
  std::atomic<size_t> next = 0;
  std::vector<std::thread> workers;
  for (int i = 0, n = argc > 3 ? std::atoi(argv[3]) : 2; i < n; ++i)
    workers.emplace_back([&] {
      const Context context;
      for (size_t at; (at = next++) < files.size();)
        seal(context, from / files[at], to / (files[at].string() + ".kesu"));
    });
  for (auto& w : workers) w.join();
  const int fd = ::open(to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::syncfs(fd) != 0) fail("syncfs");
  ::close(fd);
  return 0;
}
