// Measures the hashing of a bundle: its ledger tree and its inventory's trees by kesu's functions, against a
// bare loop over the same bytes, on one thread. Not a test. Usage: bundle_bench [--json] BUNDLE [ROUNDS]
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "certificate/bundle.h"
#include "ledger/entry.h"
#include "ledger/tree.h"

namespace {

using namespace kesu;

struct Texts {
  std::string headers;  // canonical headers, one after the other
  std::vector<size_t> ends;
  std::vector<Digest32> body_hashes;
  std::vector<std::vector<Digest32>> batches;  // leaves of each
};

Digest32 digest_of(std::string_view text) {
  Digest32 out{};
  const Bytes bytes = unhex(text).value();
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Texts read(const std::string& path) {
  const BundleFiles files = read_bundle(path);
  Texts out;
  const std::string lines = gunzip(files.at(std::string(bundle::kHeaders)), size_t{1} << 40);
  for (size_t at = 0; at < lines.size();) {
    const size_t tab = lines.find('\t', at), end = lines.find('\n', tab);
    out.headers.append(lines, at, tab - at);
    out.ends.push_back(out.headers.size());
    out.body_hashes.push_back(digest_of(std::string_view(lines).substr(tab + 1, end - tab - 1)));
    at = end + 1;
  }
  for (auto& [name, content] : files) {
    if (!name.starts_with("inventory/")) continue;
    const std::string_view text = as_text(content);
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      const std::string_view line = text.substr(at, end - at);
      if (line.starts_with("bat-"))
        out.batches.emplace_back();
      else
        out.batches.back().push_back(digest_of(line));
      at = end + 1;
    }
  }
  return out;
}

// RFC 6962 §2.1 by its definition, level by level, with OpenSSL alone.
Digest32 bare_sha256(EVP_MD_CTX* ctx, std::initializer_list<ByteView> parts) {
  Digest32 out;
  EVP_DigestInit_ex2(ctx, nullptr, nullptr);
  for (ByteView p : parts) EVP_DigestUpdate(ctx, p.data(), p.size());
  EVP_DigestFinal_ex(ctx, out.data(), nullptr);
  return out;
}
Digest32 bare_tree(EVP_MD_CTX* ctx, std::vector<Digest32> level) {
  static constexpr uint8_t kNode[] = {0x01};
  while (level.size() > 1) {
    size_t to = 0, from = 0;
    for (; from + 1 < level.size(); from += 2)
      level[to++] = bare_sha256(ctx, {ByteView(kNode), ByteView(level[from]), ByteView(level[from + 1])});
    if (from < level.size()) level[to++] = level[from];
    level.resize(to);
  }
  return level[0];
}

std::string_view header_at(const Texts& t, size_t i) {
  const size_t from = i ? t.ends[i - 1] : 0;
  return std::string_view(t.headers).substr(from, t.ends[i] - from);
}

std::vector<Digest32> bare(const Texts& t) {
  static constexpr uint8_t kLeaf[] = {0x00};
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  EVP_DigestInit_ex2(ctx, EVP_sha256(), nullptr);
  std::vector<Digest32> leaves, roots;
  for (size_t i = 0; i < t.ends.size(); ++i)
    leaves.push_back(
        bare_sha256(ctx, {ByteView(kLeaf), as_bytes(header_at(t, i)), ByteView(t.body_hashes[i])}));
  roots.push_back(bare_tree(ctx, std::move(leaves)));
  for (const auto& batch : t.batches) roots.push_back(bare_tree(ctx, batch));
  EVP_MD_CTX_free(ctx);
  return roots;
}

std::vector<Digest32> ours(const Texts& t) {
  std::vector<Digest32> leaves, roots;
  for (size_t i = 0; i < t.ends.size(); ++i) leaves.push_back(leaf_hash(header_at(t, i), t.body_hashes[i]));
  roots.push_back(tree_root(leaves));
  for (const auto& batch : t.batches) roots.push_back(tree_root(batch));
  return roots;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}
template <class F>
double seconds(const F& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool json = !words.empty() && words[0] == "--json";
  if (json) words.erase(words.begin());
  if (words.empty()) {
    std::fprintf(stderr, "usage: bundle_bench [--json] BUNDLE [ROUNDS]\n");
    return 2;
  }
  try {
    const Texts texts = read(words[0]);
    size_t leaves = 0;
    for (const auto& batch : texts.batches) leaves += batch.size();
    std::vector<double> theirs, mine, ratio;
    for (int i = 0, n = words.size() > 1 ? std::atoi(words[1].c_str()) : 7; i < n; ++i) {
      std::vector<Digest32> a, b;
      theirs.push_back(seconds([&] { a = bare(texts); }));
      mine.push_back(seconds([&] { b = ours(texts); }));
      ratio.push_back(theirs.back() / mine.back());
      if (a != b) throw Error(Code::failed, "the two loops have different roots");
    }
    std::printf(json ? "{\"case\":\"bundle-hashing\",\"headers\":%zu,\"leaves\":%zu,\"bare_seconds\":%.3f,"
                       "\"kesu_seconds\":%.3f,\"ratio\":%.2f}\n"
                     : "hashing of %zu headers and %zu leaves: bare loop %.3f s, kesu %.3f s, ratio %.2f\n",
                texts.ends.size(), leaves, median(theirs), median(mine), median(ratio));
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bundle_bench: %s: %s\n", e.message().c_str(), e.cause().c_str());
    return 1;
  }
}
