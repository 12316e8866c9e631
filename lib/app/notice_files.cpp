#include "app/notice_files.h"

#include <algorithm>

#include "app/time_authority.h"
#include "certificate/notice.h"
#include "crypto/cms.h"
#include "crypto/x509.h"
#include "report/notice.h"

namespace kesu {

namespace {
constexpr Millis kServes = 86'400'000;

Json body_of(Vault& vault, const NoticeRecord& record) {
  Json out;
  const auto is_it = [&](const Header& h) {
    return h.type == record.type && std::any_of(h.nodes.begin(), h.nodes.end(),
                                                [&](const NodeMention& n) { return n.id == record.id; });
  };
  vault.store().read(
      0, vault.state().size,
      [&](const StoredEntry& e) {
        if (!is_it(e.entry.header)) return true;
        out = e.entry.body;
        return false;
      },
      is_it);
  return out;
}

// The signer's certificate first, then its issuers, as the signature carries them.
std::string chain_of(const Bytes& document, const Bytes& signature) {
  const CmsCheck cms = verify_detached(document, signature);
  if (!cms.signer)
    throw Error(Code::ledger_damaged, "the signature that is kept names no certificate")
        .cause(cms.reason)
        .next("run: kesu ledger verify");
  std::string out = cms.signer->pem();
  for (const Bytes& der : cms.certificates)
    if (der != cms.signer->der) out += Certificate::parse(der).pem();
  return out;
}

Json comparable(Json document) {
  for (const char* member : {"id", "issued", "ledger"}) document.as_object().erase(member);
  return document;
}
}  // namespace

BundleFiles notice_files(ByteView document, Bytes signature, const std::string& signer, Bytes stamp,
                         const std::string& chain) {
  BundleFiles out;
  out[std::string(notice::kHtml)] = notice_html(document, {ReportLanguage::ja, ReportLanguage::en});
  out[std::string(notice::kDocument)] = to_bytes(document);
  out[std::string(notice::kSignature)] = std::move(signature);
  out[std::string(notice::kSigner)] = to_bytes(as_bytes(signer));
  if (stamp.empty()) return out;
  out[std::string(notice::kStamp)] = std::move(stamp);
  out[std::string(notice::kStampChain)] = to_bytes(as_bytes(chain));
  return out;
}

BundleFiles kept_notice(Vault& vault, const std::string& id) {
  const NoticeRecord record = vault.state().notices.at(id);
  Store& store = vault.store();
  const Bytes document = store.blob(record.document);
  const Bytes signature = store.blob(record.signature);
  Bytes stamp;
  std::string chain;
  const Json body = body_of(vault, record);
  if (const Json* time = body.find("time"); time && time->is_object()) {
    stamp = store.blob(time->str("signature"));
    chain = to_text(store.blob(time->str("authority")));
  }
  return notice_files(document, signature, chain_of(document, signature), std::move(stamp), chain);
}

std::optional<std::string> same_notice(Vault& vault, const std::string& erasure, std::string_view entry,
                                       const Json& document) {
  const NoticeRecord* newest = nullptr;
  for (auto& [id, n] : vault.state().notices)
    if (n.erasure == erasure && n.type == entry && (!newest || n.issued >= newest->issued)) newest = &n;
  if (!newest || vault.now() - newest->issued > kServes) return std::nullopt;
  // No authority answered then; one may now.
  const Json body = body_of(vault, *newest);
  const Json* stamp = body.find("time");
  if ((!stamp || !stamp->is_object()) && !time_authorities(vault.directory()).empty()) return std::nullopt;
  const Json before = parse_canonical_json(to_text(vault.store().blob(newest->document)), "notice");
  if (comparable(before) != comparable(document)) return std::nullopt;
  return newest->id;
}

}  // namespace kesu
