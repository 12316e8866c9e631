// The bundle as files (docs/spec/certificate.md, "Bundle"): names, MANIFEST, compressed headers, directories.
// Reading is bounded and strict; nothing here says whether a bundle is true.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

// Path inside the bundle → content.
using BundleFiles = std::map<std::string, Bytes>;

namespace bundle {
constexpr std::string_view kCertificate = "certificate.json";
constexpr std::string_view kSignature = "certificate.json.p7s";
constexpr std::string_view kPlan = "plan.json";
constexpr std::string_view kGenesis = "approvals/genesis.json";
constexpr std::string_view kAllowedSigners = "approvals/allowed_signers";
constexpr std::string_view kHeaders = "ledger/headers.gz";
constexpr std::string_view kBodies = "ledger/bodies.jsonl";
constexpr std::string_view kCheckpointA = "ledger/checkpoint-a";
constexpr std::string_view kCheckpointB = "ledger/checkpoint-b";
constexpr std::string_view kConsistency = "ledger/consistency";
constexpr std::string_view kSigner = "trust/signer.pem";
constexpr std::string_view kRevocation = "trust/signer.crl";  // after MANIFEST, too
constexpr std::string_view kLedgerKey = "trust/ledger.vkey";
// Time-stamps and what authorities' chains they bring. What is over checkpoint B came after MANIFEST.
constexpr std::string_view kSignatureStamp = "time/certificate.json.p7s.tsr";
constexpr std::string_view kCheckpointStamp = "time/checkpoint-b.tsr";
constexpr std::string_view kCheckpointStampChain = "time/checkpoint-b.pem";
constexpr std::string_view kStampChain = "trust/tsa.pem";
// Renderings for people (docs/spec/certificate.md, "Renderings"): listed in MANIFEST, and never evidence.
constexpr std::string_view kPdf = "certificate.pdf";
constexpr std::string_view kHtml = "certificate.html";
constexpr std::string_view kManifest = "MANIFEST";
constexpr std::string_view kReadme = "README.txt";
}  // namespace bundle

constexpr size_t kMaxBundleFiles = 20000;
constexpr size_t kMaxBundleFile = size_t{1} << 30;   // bytes of one file
constexpr size_t kMaxBundleBytes = size_t{2} << 30;  // bytes of all

// "" for a path that a bundle may have, else why not.
std::string bundle_name_problem(std::string_view path);

// All files of a directory. Throws bad_input naming the file for links, devices, unknown names, too much;
// io_failed, not_found.
BundleFiles read_bundle_directory(const std::string& path);
// Durable and whole: made beside `path` under another name and renamed. Throws already_exists when something
// is there, bad_input for a name that a bundle may not have, and what files throw.
void write_bundle_directory(const std::string& path, const BundleFiles& files);

// The same as one zip file: members stored, sorted by bytes, nothing that varies. A reader refuses, with
// bad_input naming the part, what is not byte for byte what write_bundle_zip would write from its members.
BundleFiles read_bundle_zip(const std::string& path);
BundleFiles parse_bundle_zip(ByteView zip);
void write_bundle_zip(const std::string& path, const BundleFiles& files);
// Of either form: a path that ends in ".zip" is written as a zip file, a regular file is read as one.
BundleFiles read_bundle(const std::string& path);
void write_bundle(const std::string& path, const BundleFiles& files);

// One line per file but MANIFEST, ledger/* and time/checkpoint-b.*: SHA-512, two spaces, path; sorted by
// path.
std::string make_manifest(const BundleFiles& files);
struct ManifestProblem {
  std::string path, what;
};
// Every file that is missing, altered, not listed or listed twice; malformed lines.
std::vector<ManifestProblem> check_manifest(const BundleFiles& files);

// RFC 1952 with nothing that varies: no name, time zero. `kept`: as small as it gets; else it is for one
// reading now and only has to be quick (what would be too large for a bundle's file is made small anyway).
Bytes gzip(std::string_view text, bool kept = true);
// Throws bad_input for anything but one whole gzip member, or when it holds more than `max_bytes`.
std::string gunzip(ByteView data, size_t max_bytes);
// The same piece by piece; what `each` throws ends it.
void gunzip_each(ByteView data, const std::function<void(std::string_view)>& each);

}  // namespace kesu
