// Making a renewal's files, and their forms.
#include "certificate/renewal.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "certificate/bundle_impl.h"
#include "certificate/evidence_chain.h"
#include "certificate/issue_impl.h"
#include "certificate/renewal_impl.h"
#include "crypto/hash.h"
#include "policy/policy.h"

namespace kesu {

namespace {
constexpr std::string_view kFolder = "renewal/";
constexpr size_t kDigits = 128;  // of a SHA-512 in hex

std::string sha512_hex(ByteView data) { return hex(hash(HashAlg::sha512, data)); }

uint64_t number(std::string_view digits) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() || digits.size() > 15 ||
      (digits.size() > 1 && digits[0] == '0'))
    throw Error(Code::bad_input, "\"" + std::string(digits.substr(0, 20)) + "\" is no number");
  return out;
}

const Bytes& need(const BundleFiles& files, const std::string& path) {
  auto it = files.find(path);
  if (it == files.end()) throw Error(Code::not_found, "the bundle has no " + path);
  return it->second;
}
}  // namespace

std::string renewal_path(uint64_t n, std::string_view name) {
  return std::string(kFolder) + std::to_string(n) + "." + std::string(name);
}

std::pair<uint64_t, std::string> renewal_part(std::string_view path) {
  if (!path.starts_with(kFolder)) return {};
  path.remove_prefix(kFolder.size());
  const size_t dot = path.find('.');
  if (dot == 0 || dot > 4 || path[0] == '0') return {};
  const std::string_view digits = path.substr(0, dot), name = path.substr(dot + 1);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return {};
  const uint64_t n = number(digits);
  if (n > kMaxRenewals) return {};
  for (std::string_view known : {"ledger", "manifest", "manifest.tsr", "tsa.pem"})
    if (name == known) return {n, std::string(name)};
  return {};
}

uint64_t renewals_of(const BundleFiles& files) {
  uint64_t n = 0;
  while (files.contains(renewal_path(n + 1, "manifest"))) ++n;
  return n;
}

Covered covered_by_renewal(std::string_view path, uint64_t n) {
  if (path == bundle::kManifest || path == bundle::kCheckpointA) return Covered::must;
  if (path.starts_with("approvals/release.")) return Covered::may;
  if (const auto [m, name] = renewal_part(path); m > 0)
    return m < n || (m == n && name == "ledger") ? Covered::must : Covered::no;
  return bundle_place::in_manifest(path) ? Covered::must : Covered::no;
}

std::string renewal_ledger_text(const RenewalLedger& ledger) {
  std::string out = ledger.headers + "  headers " + std::to_string(ledger.size) + "\n";
  for (const auto& [seq, digest] : ledger.bodies) out += digest + "  body " + std::to_string(seq) + "\n";
  return out;
}

RenewalLedger parse_renewal_ledger(std::string_view text) {
  RenewalLedger out;
  const std::string whole(text);
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    const auto malformed = [&] {
      return Error(Code::bad_input, "line " + std::to_string(line) + " is malformed");
    };
    const std::string_view word = line == 1 ? "  headers " : "  body ";
    if (end == std::string_view::npos || row.size() < kDigits || !unhex(row.substr(0, kDigits)) ||
        !row.substr(kDigits).starts_with(word))
      throw malformed();
    const uint64_t n = number(row.substr(kDigits + word.size()));
    const std::string digest(row.substr(0, kDigits));
    if (line == 1)
      out.headers = digest, out.size = n;
    else if (!out.bodies.emplace(n, digest).second)
      throw malformed();
    text.remove_prefix(end + 1);
  }
  if (out.headers.empty() || renewal_ledger_text(out) != whole)
    throw Error(Code::bad_input, "is out of order, or empty");
  return out;
}

std::map<uint64_t, std::string> body_digests(std::string_view bodies) {
  std::map<uint64_t, std::string> out;
  while (!bodies.empty()) {
    const size_t end = bodies.find('\n');
    if (end == std::string_view::npos) throw Error(Code::bad_input, "the last line has no end");
    const std::string_view line = bodies.substr(0, end + 1);
    const Json one = parse_json(line.substr(0, end), "ledger body");
    out[static_cast<uint64_t>(one.num("seq"))] = sha512_hex(as_bytes(line));
    bodies.remove_prefix(end + 1);
  }
  return out;
}

std::map<uint64_t, std::string> header_digests(ByteView headers, const std::vector<uint64_t>& sizes) {
  // Each beginning in one pass of its own: a hasher cannot be asked and go on. Renewals are few.
  std::map<uint64_t, std::string> out;
  for (uint64_t size : sizes) {
    if (out.contains(size)) continue;
    Hasher hasher(HashAlg::sha512);
    uint64_t lines = 0;
    gunzip_each(headers, [&](std::string_view part) {
      size_t at = 0;
      while (lines < size && at < part.size()) {
        const size_t end = part.find('\n', at);
        if (end == std::string_view::npos) {
          at = part.size();
          break;
        }
        at = end + 1;
        ++lines;
        if (lines == size) break;
      }
      if (at > 0) hasher.update(as_bytes(part.substr(0, at)));
    });
    if (lines < size)
      throw Error(Code::bad_input, "has " + std::to_string(lines) + " headers of " + std::to_string(size));
    out[size] = hex(hasher.finish());
  }
  return out;
}

uint64_t begin_renewal(BundleFiles& files, LedgerSource& source, const std::string& checkpoint) {
  put_final_ledger(files, source, checkpoint);
  const uint64_t n = renewals_of(files) + 1;
  if (n > kMaxRenewals) throw Error(Code::state_refused, "it was renewed a thousand times");
  RenewalLedger ledger;
  ledger.size = source.size();
  ledger.headers = header_digests(need(files, std::string(bundle::kHeaders)), {ledger.size}).at(ledger.size);
  ledger.bodies = body_digests(as_text(need(files, std::string(bundle::kBodies))));
  files[renewal_path(n, "ledger")] = to_bytes(as_bytes(renewal_ledger_text(ledger)));
  std::string manifest;
  for (const auto& [path, content] : files)
    if (covered_by_renewal(path, n) != Covered::no) manifest += sha512_hex(content) + "  " + path + "\n";
  files[renewal_path(n, "manifest")] = to_bytes(as_bytes(manifest));
  return n;
}

void add_renewal_stamp(BundleFiles& files, uint64_t n, ByteView answer, std::string_view chain) {
  const TimestampAnswer got = parse_timestamp_answer(answer);
  const TimestampCheck check =
      verify_timestamp(got.token, {.data = need(files, renewal_path(n, "manifest"))});
  if (!check.ok)
    throw Error(Code::bad_input, "the time-stamp over the renewal's manifest is not good")
        .cause(check.reason);
  files[renewal_path(n, "manifest.tsr")] = to_bytes(answer);
  files[renewal_path(n, "tsa.pem")] = to_bytes(as_bytes(chain));
}

Event renewal_event(const BundleFiles& files, uint64_t n) {
  const Json document =
      parse_canonical_json(as_text(need(files, std::string(bundle::kCertificate))), "certificate.json");
  auto sum = [&](std::string_view name) { return hex(sha256(need(files, renewal_path(n, name)))); };
  Event event;
  event.type = "certificate-renewed";
  NodeMention node;
  node.id = document.str("id");
  node.d = sha512_hex(need(files, renewal_path(n, "manifest")));
  event.nodes = {node};
  event.body = Json::object(
      {{"n", n},
       {"ledger", sum("ledger")},
       {"manifest", sum("manifest")},
       {"time", Json::object({{"manifest", sum("manifest.tsr")}, {"authority", sum("tsa.pem")}})}});
  return event;
}

void put_renewal(BundleFiles& files, uint64_t n, const RenewalFiles& kept) {
  files[renewal_path(n, "ledger")] = kept.ledger;
  files[renewal_path(n, "manifest")] = kept.manifest;
  files[renewal_path(n, "manifest.tsr")] = kept.stamp;
  files[renewal_path(n, "tsa.pem")] = kept.chain;
}

int last_year_of(const TimestampCheck& token) {
  if (!token.ok || !token.authority || !token.authority->key || !token.imprint) return 0;
  // "ECDSA P-256, SHA-256": the digest that was signed stands last.
  const std::string digest = token.algorithm.substr(token.algorithm.rfind(' ') + 1);
  const std::vector<EvidenceLink> links =
      judge_evidence({{"signature", certificate_algorithm(*token.authority->key), policy::Purpose::signature},
                      {"digest", digest, policy::Purpose::hash},
                      {"imprint", hash_algorithm(*token.imprint), policy::Purpose::hash}});
  int out = policy::kNoLimit;
  for (const EvidenceLink& link : links) out = std::min(out, link.verdict.horizon_year_process);
  return out;
}

}  // namespace kesu
