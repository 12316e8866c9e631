#include "app/certificate_renew.h"

#include <algorithm>

#include "app/anchors.h"
#include "app/certificate.h"
#include "app/certificate_time.h"
#include "app/countersign.h"
#include "app/renewal.h"
#include "app/settle.h"
#include "app/time_authority.h"
#include "app/vault_source.h"
#include "app/withdraw.h"
#include "base/files.h"
#include "certificate/renewal.h"

namespace kesu {

namespace {
constexpr Millis kSameRun = 86'400'000;

std::string day(Millis at) { return local_text(at).substr(0, 10); }

std::vector<TimeAuthority> needed_authorities(Vault& vault) {
  std::vector<TimeAuthority> out = authorities_of_rules(vault, anchors_now(vault));
  if (out.empty())
    throw Error(Code::state_refused,
                "a renewal is a time-stamp, and kesu.toml names no authority to ask for one")
        .next("add [[time.authority]] with url and ca to kesu.toml, then the same command");
  return out;
}

void refuse_ended(const CertificateRecord& c, const std::optional<RenewBefore>& ends, Millis at) {
  if (!ends || ends->at > at) return;
  throw Error(Code::state_refused, "certificate " + c.id.substr(0, 12) + " rests on what ended " +
                                       local_text(ends->at) + ": " + ends->what)
      .cause(
          "a time-stamp of now cannot show that what it covers was there before that; the certificate, the "
          "ledger and all signatures can be checked as before, and its time-stamps as of their own time")
      .next(
          "kesu certificate bundle writes it as it is; a reader whose trust file says \"tsa-renewal "
          "required\" "
          "counts it no more");
}

// A kill may have come between the entry and its checkpoint, or that one's time-stamp, or no authority
// answered any more: then the renewal is there and is only finished.
bool unfinished(Vault& vault, const CertificateRecord& c) {
  if (c.renewals.empty()) return false;
  const uint64_t entry = c.renewals.back().seq;
  if (vault.state().vault.stamped_size <= entry && !time_authorities(vault.directory()).empty()) return true;
  const std::vector<SavedCheckpoint> all = vault.store().checkpoints();
  return std::none_of(all.begin(), all.end(), [&](const SavedCheckpoint& k) { return k.size > entry; });
}

RenewOutcome make_renewal(Vault& vault, const std::string& id, bool due,
                          const std::vector<TimeAuthority>& authorities) {
  const CertificateRecord record = vault.state().certificates.at(id);
  const auto ends = renew_before(vault, record);
  if (due && !is_due(ends, vault.now()))
    return {id, "not-due", 0, 0, ends ? ends->at : 0, "nothing of it ends within half a year"};
  refuse_ended(record, ends, vault.now());
  BundleFiles files = issued_files(vault, record);
  const SavedCheckpoint head = vault.checkpoint();
  VaultSource source(vault.store(), head.size);
  const uint64_t n = begin_renewal(files, source, head.note);
  const Stamp stamp = fetch_stamp(vault, authorities, files.at(renewal_path(n, "manifest")),
                                  vault.state().time, "the renewal");
  refuse_ended(record, ends, stamp.check.time);
  const auto until = stamp_ends(stamp.check, stamp.chain);
  const bool later = !until || (ends && until->at > ends->at);
  if (due && !later)
    return {id,
            "no-later",
            0,
            0,
            until->at,
            "the time authority's own " + until->what + " ends " + day(until->at) +
                ": a renewal by it gains nothing yet"};
  // From a run that was killed before it had written the bundle, or could say so.
  if (!later && ends && until->at == ends->at && !record.renewals.empty() &&
      vault.now() - record.renewals.back().time < kSameRun)
    return {id,
            "renewed",
            record.renewals.size(),
            record.renewals.back().time,
            ends->at,
            "renewed before: another one of today would gain nothing"};
  if (!later && ends && until->at < ends->at)
    throw Error(Code::state_refused, "the renewal would end " + day(until->at) + ", before what there is (" +
                                         day(ends->at) + "): " + until->what)
        .next("name an authority in kesu.toml whose certificate lasts longer");
  add_renewal_stamp(files, n, stamp.answer, chain_pem({stamp.chain}));
  for (std::string_view name : {"ledger", "manifest", "manifest.tsr", "tsa.pem"})
    vault.store().put_blob(files.at(renewal_path(n, name)));
  vault.append({renewal_event(files, n)}, {id});
  return {id, "renewed", n, stamp.check.time, until ? until->at : 0, ""};
}
}  // namespace

Json RenewOutcome::to_json() const {
  return Json::object({{"certificate", certificate},
                       {"outcome", outcome},
                       {"n", n ? Json(n) : Json()},
                       {"at", at ? Json(utc_text(at)) : Json()},
                       {"until", until ? Json(utc_text(until)) : Json()},
                       {"detail", detail}});
}

RenewOutcome renew_certificate(Vault& vault, const std::string& certificate, bool due, const std::string& out,
                               const std::string& countersigned) {
  const std::string id = vault.find_certificate(certificate).id;
  const std::string path = out.empty() ? "" : absolute_path(out);
  vault.rebuild();
  settle(vault);
  if (!path.empty()) refuse_existing(path);
  refuse_withdrawn(vault.state().certificates.at(id), "a certificate that was withdrawn is not renewed");
  const BundleFiles others =
      read_countersigned(vault.env(), countersigned, vault.state().certificates.at(id).document);
  RenewOutcome done;
  if (const CertificateRecord& c = vault.state().certificates.at(id); unfinished(vault, c)) {
    const auto ends = renew_before(vault, c);
    done = {id, "renewed", c.renewals.size(), c.renewals.back().time, ends ? ends->at : 0, "finished"};
  } else {
    done = make_renewal(vault, id, due, needed_authorities(vault));
  }
  if (done.outcome != "renewed") return done;
  const CertificateRecord record = vault.state().certificates.at(id);
  BundleFiles unwritten;  // its stamp is kept for whoever writes the bundle
  stamped_checkpoint(vault, unwritten, record.newest_entry(), true);
  if (path.empty()) return done;
  BundleFiles files = issued_files(vault, record);
  done.carried = finish_and_write(vault, record, files, path, others);
  return done;
}

std::vector<RenewOutcome> renew_due(Vault& vault) {
  vault.rebuild();
  settle(vault);
  std::vector<std::string> ids;
  for (auto& [id, c] : vault.state().certificates)
    if (c.state == "issued") ids.push_back(id);
  std::vector<RenewOutcome> out;
  for (const std::string& id : ids) {
    try {
      if (!unfinished(vault, vault.state().certificates.at(id)) &&
          !is_due(renew_before(vault, vault.state().certificates.at(id)), vault.now()))
        out.push_back({id, "not-due", 0, 0, 0, ""});
      else
        out.push_back(renew_certificate(vault, id, true, ""));
    } catch (const Error& e) {
      if (e.code() != Code::state_refused) throw;
      out.push_back({id, "refused", 0, 0, 0, e.message() + (e.cause().empty() ? "" : ": " + e.cause())});
    }
  }
  return out;
}

void restore_renewals(Vault& vault, const CertificateRecord& certificate, BundleFiles& files) {
  Store& store = vault.store();
  for (size_t i = 0; i < certificate.renewals.size(); ++i) {
    const RenewalRecord& r = certificate.renewals[i];
    put_renewal(
        files, i + 1,
        {store.blob(r.ledger), store.blob(r.manifest), store.blob(r.stamp), store.blob(r.stamp_chain)});
  }
}

}  // namespace kesu
