#include "app/certificate_time.h"
#include "app/anchors.h"
#include "app/rules.h"

#include <algorithm>

#include "app/time_authority.h"
#include "app/witnessing.h"
#include "base/files.h"
#include "certificate/claims.h"
#include "certificate/issue.h"
#include "crypto/cms.h"

namespace kesu {

namespace {
constexpr std::string_view kCheckpointToken = "checkpoint-token";
constexpr std::string_view kAnswerEnding = ".tsr", kChainEnding = ".pem";

std::string why_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

bool no_stamp(const Error& e) { return e.code() == Code::time_unavailable || e.code() == Code::waiting; }

// Whether nothing but stamps of checkpoints was recorded from entry `from` on.
bool only_stamps_since(Vault& vault, uint64_t from) {
  bool only = true;
  vault.store().read(from, vault.state().size, [&](const StoredEntry& e) {
    only = e.entry.header.type == "document-attached" && e.entry.body.str_or("what", "") == kCheckpointToken;
    return only;
  });
  return only;
}

// What was kept is still there. What is lost is no stamp, and another one is fetched; what is altered says
// so.
bool is_there(Vault& vault, std::initializer_list<std::string> kept) {
  return std::all_of(kept.begin(), kept.end(),
                     [&](const std::string& d) { return vault.store().has_blob(d); });
}

// Whether a kept answer is the stamp of these bytes.
bool is_stamp_of(Vault& vault, const std::string& answer, std::string_view note) {
  return is_there(vault, {answer}) &&
         verify_timestamp(parse_timestamp_answer(vault.store().blob(answer)).token, {.data = as_bytes(note)})
             .ok;
}

// The same, under an authority that the rules name.
bool is_stamp_under(Vault& vault, const std::string& answer, const std::string& chain, std::string_view note,
                    const Anchors& anchors) {
  if (!is_there(vault, {answer, chain})) return false;
  const TimestampCheck check =
      verify_timestamp(parse_timestamp_answer(vault.store().blob(answer)).token, {.data = as_bytes(note)});
  return check.ok && is_of_rules(check, as_text(vault.store().blob(chain)), anchors);
}

// The note of that size that the kept answer is the stamp of: a size may have several, with cosignatures and
// without.
std::string stamped_note(Vault& vault, uint64_t size, const std::string& answer) {
  for (const SavedCheckpoint& c : vault.store().checkpoints())
    if (c.size == size && is_stamp_of(vault, answer, c.note)) return c.note;
  return "";
}

// The stamp that was kept of this checkpoint, into the bundle.
bool restore_checkpoint_stamp(Vault& vault, const SavedCheckpoint& b, const Anchors& anchors,
                              BundleFiles& files) {
  bool found = false;
  vault.store().read(
      b.size, vault.state().size,
      [&](const StoredEntry& e) {
        const Json& body = e.entry.body;
        if (body.is_null() || body.str_or("what", "") != kCheckpointToken) return true;
        const std::string answer = body.str("document");
        found = static_cast<uint64_t>(body.num("size")) == b.size &&
                is_stamp_under(vault, answer, body.str("authority"), b.note, anchors);
        if (found)
          add_checkpoint_stamp(files, vault.store().blob(answer),
                               as_text(vault.store().blob(body.str("authority"))));
        return !found;
      },
      [](const Header& h) { return h.type == "document-attached"; });
  return found;
}

// A closed ledger takes no entry: what is fetched then lies beside it, named by what it is over
// (docs/spec/store.md), so that the same command writes the same bundle again.
std::string beside(Vault& vault, std::string_view note, std::string_view ending) {
  return path_join(path_join(vault.directory(), "stamps"), hex(sha256(as_bytes(note))) + std::string(ending));
}

void keep_beside(Vault& vault, std::string_view note, const Stamp& stamp, const std::string& chain) {
  try {
    make_directories(path_join(vault.directory(), "stamps"), 0700);
    write_file_durable(beside(vault, note, kChainEnding), as_bytes(chain), 0600);
    write_file_durable(beside(vault, note, kAnswerEnding), stamp.answer, 0600);
  } catch (const Error& e) {
    vault.env().notice("the checkpoint's time-stamp is in the bundle and could not be kept: " + why_of(e) +
                       "; the next kesu certificate bundle fetches another");
  }
}

// What was altered or is not whole is no stamp, and another one is fetched.
bool restore_from_beside(Vault& vault, std::string_view note, const Anchors& anchors, BundleFiles& files) {
  if (!vault.state().vault.closed || !exists(beside(vault, note, kAnswerEnding))) return false;
  try {
    const Bytes answer = read_file(beside(vault, note, kAnswerEnding), kMaxTimestamp);
    const std::string chain = to_text(read_file(beside(vault, note, kChainEnding), 1 << 20));
    const TimestampCheck check =
        verify_timestamp(parse_timestamp_answer(answer).token, {.data = as_bytes(note)});
    if (!check.ok || !is_of_rules(check, chain, anchors)) return false;
    add_checkpoint_stamp(files, answer, chain);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// After the rules changed: the newest kept stamp under those of before, where its checkpoint still says all
// about the certificate.
std::optional<SavedCheckpoint> older_stamped(Vault& vault, const CertificateRecord& certificate,
                                             const Anchors& anchors, BundleFiles& files) {
  std::vector<uint64_t> sizes;
  vault.store().read(
      certificate.newest_entry(), vault.state().size,
      [&](const StoredEntry& e) {
        const Json& body = e.entry.body;
        if (!body.is_null() && body.str_or("what", "") == kCheckpointToken)
          sizes.push_back(static_cast<uint64_t>(body.num("size")));
        return true;
      },
      [](const Header& h) { return h.type == "document-attached"; });
  for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
    if (*size <= certificate.newest_entry() || !says_all(vault, certificate, *size)) continue;
    for (const SavedCheckpoint& c : vault.store().checkpoints())
      if (c.size == *size && restore_checkpoint_stamp(vault, c, anchors, files)) return c;
  }
  return std::nullopt;
}

// The stamp, and the entry that names it; under a checkpoint at once, so that nothing is left open.
void keep(Vault& vault, uint64_t size, const Stamp& stamp, const std::string& chain) {
  const std::string answer = vault.store().put_blob(stamp.answer),
                    pem = vault.store().put_blob(as_bytes(chain));
  const std::string id = vault.env().random.id<DocumentId>().str();
  vault.append({{.type = "document-attached",
                 .nodes = {{.id = id, .is = "attached", .d = answer}},
                 .body = Json::object({{"what", kCheckpointToken},
                                       {"detail", "time-stamp of a checkpoint"},
                                       {"size", size},
                                       {"document", answer},
                                       {"authority", pem}})}},
               {vault.state().vault.id, id});
  vault.checkpoint();
}
}  // namespace

bool profile_asks_for_stamps(Vault& vault) {
  const Profile* profile = find_profile(rules_in_force(vault.state(), moment_now(vault)).profile);
  return profile && profile->timestamp;
}

std::optional<SignatureStamps> fetch_signature_stamps(Vault& vault, const Anchors& anchors, ByteView document,
                                                      ByteView signature, Millis issued,
                                                      const std::string& what, bool must) {
  const std::vector<TimeAuthority> authorities = authorities_of_rules(vault, anchors);
  if (authorities.empty()) return std::nullopt;
  try {
    const Stamp inside = fetch_stamp(vault, authorities, verify_detached(document, signature).signature,
                                     issued, "the " + what + "'s signature");
    Bytes stamped = add_signature_timestamp(signature, inside.token);
    const Stamp beside =
        fetch_stamp(vault, authorities, stamped, issued, "the " + what + "'s signature file");
    return SignatureStamps{std::move(stamped), beside.answer, chain_pem({inside.chain, beside.chain})};
  } catch (const Error& e) {
    if (!no_stamp(e) || must) throw;
    vault.env().notice("the " + what + " has no time-stamp: " + why_of(e));
    return std::nullopt;
  }
}

Stamped stamp_signature(Vault& vault, BundleFiles& files, Millis issued, const Anchors& anchors) {
  if (anchors.time_authorities.empty() && time_authorities(vault.directory()).empty())
    return Stamped::not_asked;
  Bytes& signature = files.at(std::string(bundle::kSignature));
  auto stamps = fetch_signature_stamps(vault, anchors, files.at(std::string(bundle::kCertificate)), signature,
                                       issued, "certificate", profile_asks_for_stamps(vault));
  if (!stamps) return Stamped::none;
  signature = std::move(stamps->signature);
  add_stamp(files, stamps->answer, stamps->chain);
  for (std::string_view part : {bundle::kSignatureStamp, bundle::kStampChain})
    vault.store().put_blob(files.at(std::string(part)));
  return Stamped::yes;
}

void restore_signature_stamp(Vault& vault, const CertificateRecord& certificate, BundleFiles& files) {
  if (certificate.stamp.empty()) return;
  add_stamp(files, vault.store().blob(certificate.stamp),
            as_text(vault.store().blob(certificate.stamp_chain)));
}

SavedCheckpoint stamped_checkpoint(Vault& vault, BundleFiles& files, uint64_t covers, bool must) {
  const VaultRecord& v = vault.state().vault;
  std::optional<SavedCheckpoint> cosigned = cosigned_checkpoint(vault, covers);
  const CertificateRecord* certificate = certificate_at(vault.state(), covers);
  const Anchors anchors = certificate ? anchors_of_stamp(vault, *certificate) : anchors_now(vault);
  if (cosigned && restore_checkpoint_stamp(vault, *cosigned, anchors, files)) return *cosigned;
  if (!cosigned && v.stamped_size > covers && only_stamps_since(vault, v.stamped_size))
    if (std::string note = stamped_note(vault, v.stamped_size, v.stamp);
        !note.empty() && is_stamp_under(vault, v.stamp, v.stamp_chain, note, anchors)) {
      add_checkpoint_stamp(files, vault.store().blob(v.stamp), as_text(vault.store().blob(v.stamp_chain)));
      return {v.stamped_size, note};
    }
  const SavedCheckpoint b = cosigned ? *cosigned : vault.checkpoint();
  if (restore_from_beside(vault, b.note, anchors, files)) return b;
  try {
    const std::vector<TimeAuthority> authorities = authorities_of_rules(vault, anchors);
    if (authorities.empty()) return b;
    const Stamp stamp =
        fetch_stamp(vault, authorities, as_bytes(b.note), vault.state().time, "the ledger's checkpoint");
    const std::string chain = chain_pem({stamp.chain});
    add_checkpoint_stamp(files, stamp.answer, chain);
    if (vault.state().vault.closed)
      keep_beside(vault, b.note, stamp, chain);
    else
      keep(vault, b.size, stamp, chain);
  } catch (const Error& e) {
    if (!no_stamp(e) && e.code() != Code::policy_refused) throw;
    if (certificate && !cosigned && e.code() == Code::policy_refused)
      if (const auto older = older_stamped(vault, *certificate, anchors, files)) return *older;
    if (must)
      throw Error(e.code(),
                  "what was asked for is recorded, and the checkpoint that covers it has no time-stamp yet")
          .tried(e.tried())
          .cause(why_of(e))
          .next((e.next().empty() ? "when the authority answers" : e.next()) +
                ": then the same command again, which only finishes it");
    vault.env().notice("the checkpoint that covers the certificate has no time-stamp yet: " + why_of(e) +
                       "; the next kesu certificate bundle of it fetches one");
  }
  return b;
}

}  // namespace kesu
