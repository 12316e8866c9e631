// Which paths a bundle may have, MANIFEST, and the compressed headers.
#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/ids.h"
#include "certificate/bundle.h"
#include "certificate/bundle_impl.h"
#include "certificate/countersign.h"
#include "certificate/gzip_impl.h"
#include "certificate/renewal_impl.h"
#include "crypto/hash.h"

namespace kesu {

namespace {

bool is_genesis_signature(std::string_view name) {
  return name.starts_with("genesis.") && name.ends_with(".sig") &&
         OperatorId::parse(name.substr(8, name.size() - 12));
}

// certificate.<opr>.pem
bool is_certificate(std::string_view name) {
  return name.starts_with("certificate.") && name.ends_with(".pem") &&
         OperatorId::parse(name.substr(12, name.size() - 16));
}

// change.<seq>.json or change.<seq>.<opr>.sig
bool is_change(std::string_view name) {
  if (!name.starts_with("change.")) return false;
  name.remove_prefix(7);
  const size_t dot = name.find('.');
  if (dot == 0 || dot > 15 || (dot > 1 && name[0] == '0') || name.find_first_not_of("0123456789") != dot)
    return false;
  name.remove_prefix(dot + 1);
  if (name == "json") return true;
  return name.ends_with(".sig") && OperatorId::parse(name.substr(0, name.size() - 4));
}

// release.<seq>.<opr>.json or release.<seq>.<opr>.json.sig; key-attest.… likewise
bool is_of_entry(std::string_view name) {
  if (!name.starts_with("release.") && !name.starts_with("key-attest.")) return false;
  name.remove_prefix(name.find('.') + 1);
  if (name.ends_with(".sig")) name.remove_suffix(4);
  if (!name.ends_with(".json")) return false;
  name.remove_suffix(5);
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 15 || (dot > 1 && name[0] == '0') ||
      name.find_first_not_of("0123456789") != dot)
    return false;
  return OperatorId::parse(name.substr(dot + 1)).has_value();
}

// command.<sha256>.json or command.<sha256>.json.sig
bool is_command(std::string_view name) {
  if (!name.starts_with("command.")) return false;
  name.remove_prefix(8);
  if (name.ends_with(".sig")) name.remove_suffix(4);
  return name.ends_with(".json") && unhex32(name.substr(0, name.size() - 5));
}

// <action>.<opr>.json or <action>.<opr>.json.sig
bool is_statement(std::string_view name) {
  if (name.ends_with(".sig")) name.remove_suffix(4);
  if (!name.ends_with(".json")) return false;
  name.remove_suffix(5);
  size_t dot = name.find('.');
  if (dot == std::string_view::npos) return false;
  std::string_view action = name.substr(0, dot);
  return (action == "request" || action == "approve" || action == "verify" || action == "validate") &&
         OperatorId::parse(name.substr(dot + 1));
}

}  // namespace

bool bundle_place::in_manifest(std::string_view path) {
  return path != bundle::kManifest && path != bundle::kCheckpointStamp &&
         path != bundle::kCheckpointStampChain && path != bundle::kRevocation &&
         !path.starts_with("ledger/") && !path.starts_with("approvals/release.") &&
         !path.starts_with("renewal/") && !countersignature_number(path);
}

using bundle_place::in_manifest;

std::string bundle_name_problem(std::string_view path) {
  using namespace bundle;
  for (std::string_view known :
       {kCertificate, kSignature,  kPlan,           kGenesis,         kAllowedSigners,
        kHeaders,     kBodies,     kCheckpointA,    kCheckpointB,     kConsistency,
        kSigner,      kRevocation, kLedgerKey,      kManifest,        kReadme,
        kPdf,         kHtml,       kSignatureStamp, kCheckpointStamp, kCheckpointStampChain,
        kStampChain})
    if (path == known) return {};
  size_t slash = path.find('/');
  std::string_view folder = path.substr(0, slash);
  std::string_view name = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  if (folder == "approvals" && (is_genesis_signature(name) || is_certificate(name) || is_statement(name) ||
                                is_change(name) || is_of_entry(name) || is_command(name)))
    return {};
  if (folder == "evidence" && unhex32(name)) return {};
  if (folder == "inventory" && name.ends_with(".leaves") && DatasetId::parse(name.substr(0, name.size() - 7)))
    return {};
  if (renewal_part(path).first > 0 || countersignature_number(path)) return {};
  return "not a file of a version 1 bundle";
}

std::string make_manifest(const BundleFiles& files) {
  std::string out;
  for (const auto& [path, content] : files)
    if (in_manifest(path)) out += hex(hash(HashAlg::sha512, content)) + "  " + path + "\n";
  return out;
}

std::vector<ManifestProblem> check_manifest(const BundleFiles& files) {
  std::vector<ManifestProblem> out;
  auto manifest = files.find(std::string(bundle::kManifest));
  if (manifest == files.end()) return {{std::string(bundle::kManifest), "is missing"}};
  std::map<std::string, std::string, std::less<>> listed;
  std::string_view text = as_text(manifest->second);
  std::string last;
  for (size_t line = 1; !text.empty(); ++line) {
    size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    auto digest = row.size() > 130 && row.substr(128, 2) == "  " ? unhex(row.substr(0, 128)) : std::nullopt;
    if (end == std::string_view::npos || !digest) {
      out.push_back({std::string(bundle::kManifest), "line " + std::to_string(line) + " is malformed"});
      return out;
    }
    std::string path(row.substr(130));
    if (!last.empty() && path <= last)
      out.push_back({std::string(bundle::kManifest), "line " + std::to_string(line) + " is out of order"});
    last = path;
    listed.emplace(std::move(path), std::string(row.substr(0, 128)));
    text.remove_prefix(end + 1);
  }
  for (const auto& [path, digest] : listed) {
    auto file = files.find(path);
    if (file == files.end())
      out.push_back({path, "is missing; MANIFEST lists it"});
    else if (!in_manifest(path))
      out.push_back({path, "may not stand in MANIFEST"});
    else if (hex(hash(HashAlg::sha512, file->second)) != digest)
      out.push_back({path, "is not what MANIFEST says"});
  }
  for (const auto& [path, content] : files)
    if (in_manifest(path) && !listed.contains(path)) out.push_back({path, "is not in MANIFEST"});
  return out;
}

struct GzipWriter::Stream {
  z_stream z{};
  gz_header header{};
  uint8_t part[65536];
};

GzipWriter::GzipWriter(bool kept) : stream_(std::make_unique<Stream>()) {
  if (deflateInit2(&stream_->z, kept ? 9 : 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw Error(Code::failed, "zlib: no memory to compress");
  stream_->header.os = 255;  // unknown: zlib would write the system it was built for
  deflateSetHeader(&stream_->z, &stream_->header);
}

GzipWriter::~GzipWriter() { deflateEnd(&stream_->z); }

void GzipWriter::deflate_all(std::string_view text, bool last) {
  z_stream& z = stream_->z;
  int result = Z_OK;
  do {
    // zlib counts in 32 bits, so long inputs go in pieces.
    const std::string_view piece = text.substr(0, size_t{1} << 30);
    text.remove_prefix(piece.size());
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    z.avail_in = static_cast<uInt>(piece.size());
    do {
      z.next_out = stream_->part;
      z.avail_out = sizeof stream_->part;
      result = deflate(&z, last && text.empty() ? Z_FINISH : Z_NO_FLUSH);
      // By a quarter: twice as much would be held at once where half again is enough.
      if (out_.capacity() - out_.size() < sizeof stream_->part)
        out_.reserve(out_.size() + out_.size() / 4 + sizeof stream_->part);
      out_.insert(out_.end(), stream_->part, stream_->part + (sizeof stream_->part - z.avail_out));
    } while (z.avail_out == 0);
  } while (!text.empty());
  if (last && result != Z_STREAM_END) throw Error(Code::failed, "zlib: compression did not end");
}

void GzipWriter::add(std::string_view text) {
  if (!text.empty()) deflate_all(text, false);
}

Bytes GzipWriter::finish() {
  deflate_all({}, true);
  out_.at(8) = 2;  // XFL: always the same start, whatever the level
  return std::move(out_);
}

Bytes gzip(std::string_view text, bool kept) {
  GzipWriter writer(kept);
  writer.add(text);
  Bytes out = writer.finish();
  return !kept && out.size() > kMaxBundleFile ? gzip(text) : out;
}

void gunzip_each(ByteView data, const std::function<void(std::string_view)>& each) {
  if (data.size() > kMaxBundleFile) throw Error(Code::bad_input, "gzip: more than a bundle's file may hold");
  // What gzip() writes; anything else in these ten bytes would be room for what nobody checks.
  static constexpr uint8_t kStart[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255};
  if (data.size() < sizeof kStart || !std::equal(std::begin(kStart), std::end(kStart), data.begin()))
    throw Error(Code::bad_input, "gzip: another start than 1f 8b 08 00 00 00 00 00 02 ff");
  struct Inflater {
    z_stream z{};
    Inflater() {
      if (inflateInit2(&z, 15 + 16) != Z_OK) throw Error(Code::failed, "zlib: no memory to decompress");
    }
    ~Inflater() { inflateEnd(&z); }
  } owner;
  z_stream& z = owner.z;
  std::vector<char> part(65536);
  z.next_in = const_cast<Bytef*>(data.data());
  z.avail_in = static_cast<uInt>(data.size());
  for (int result = Z_OK; result != Z_STREAM_END;) {
    z.next_out = reinterpret_cast<Bytef*>(part.data());
    z.avail_out = static_cast<uInt>(part.size());
    result = inflate(&z, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END)
      throw Error(Code::bad_input, "gzip: ends early, or is no gzip data");
    each({part.data(), part.size() - z.avail_out});
  }
  if (z.avail_in != 0) throw Error(Code::bad_input, "gzip: goes on after its end");
}

std::string gunzip(ByteView data, size_t max_bytes) {
  std::string out;
  gunzip_each(data, [&](std::string_view chunk) {
    if (chunk.size() > max_bytes - out.size())
      throw Error(Code::bad_input, "gzip: holds more than " + std::to_string(max_bytes) + " bytes");
    out.append(chunk);
  });
  return out;
}

}  // namespace kesu
