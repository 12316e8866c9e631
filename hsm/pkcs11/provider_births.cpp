// How keys come to a token: generated there, brought in, adopted, found again after an interruption.
#include "hsm/pkcs11/provider_impl.h"

namespace kesu::p11 {

namespace {
std::string selector_text(const ObjectSelector& what) {
  std::string out;
  if (!what.label.empty()) out += "label '" + what.label + "'";
  if (!what.id.empty()) out += (out.empty() ? "id " : " and id ") + hex(what.id);
  return out;
}
}  // namespace

Birth Pkcs11Provider::generate(const VersionRef& version, KeyPurpose purpose) {
  Capabilities can = ask_capabilities();
  bool able = purpose == KeyPurpose::sign_ledger        ? can.sign_ed25519
              : purpose == KeyPurpose::sign_certificate ? can.sign_ecdsa_p384
                                                        : can.wrap_aes256_gcm;
  if (!able)
    throw Error(Code::mechanism_absent,
                token_name() + " cannot make keys for '" + std::string(purpose_text(purpose)) + "'")
        .cause("its mechanism list lacks what " + mechanism_name(mechanism_of(purpose)) + " needs")
        .next("use another provider for this purpose");
  demand_login("generating " + object_label(version));
  demand_unnamed(version);
  NewKey made = generate_key(session(), version, purpose);
  return birth_of(made, version, purpose, made.left_out);
}

void Pkcs11Provider::demand_unnamed(const VersionRef& version) {
  if (!session().find(Template().text(CKA_LABEL, object_label(version))).empty() ||
      !session().find(Template().bytes(CKA_ID, object_id(version))).empty())
    throw Error(Code::already_exists, "the token already has an object " + object_label(version))
        .next("an interrupted run left it; the next command asks the token what it is");
}

Birth Pkcs11Provider::birth_of(const NewKey& made, const VersionRef& version, KeyPurpose purpose,
                               std::vector<std::string> left_out) {
  Birth out;
  out.ref = reference(session(), made, version, purpose);
  out.attributes = all_attributes(session(), made.key, made.public_key);
  out.left_out = std::move(left_out);
  usable(out.ref);  // shows that what was made is found again, and works
  return out;
}

Birth Pkcs11Provider::import_key(const VersionRef& version, const Secret& key) {
  std::string label = object_label(version);
  if (key.size() != 32)
    throw Error(Code::bad_input, "a wrap key has 32 bytes, this one has " + std::to_string(key.size()))
        .next("give the AES-256 key itself, 32 bytes");
  if (!ask_capabilities().imports)
    throw Error(Code::mechanism_absent, token_name() + " cannot use AES-256-GCM keys")
        .cause("its mechanism list lacks CKM_AES_GCM")
        .next("use another provider for this purpose");
  demand_login("importing " + label);
  demand_unnamed(version);
  NewKey made = create_key(session(), version, key);
  // A token that calls it its own would let the ledger say that it was never elsewhere.
  if (session().flag(made.key, CKA_LOCAL) == true)
    throw Error(Code::provider_failed, label + " must not be used: the token shows CKA_LOCAL=true")
        .tried("reading the attributes back after importing it")
        .cause("the key was made elsewhere, and the token says that it was made inside")
        .next("destroy the object with the token's own tool; generate keys inside this token");
  return birth_of(made, version, KeyPurpose::wrap, made.left_out);
}

Birth Pkcs11Provider::adopt(const VersionRef& version, const ObjectSelector& what) {
  return repeatable([&] { return adopt_once(version, what); });
}

Birth Pkcs11Provider::adopt_once(const VersionRef& version, const ObjectSelector& what) {
  std::string wanted = selector_text(what), doing = "looking for " + wanted + " at " + token_name();
  if (what.label.empty() && what.id.empty())
    throw Error(Code::bad_input, "neither a label nor an id is given");
  demand_login(doing);
  Template sought;
  sought.number(CKA_CLASS, CKO_SECRET_KEY);
  if (!what.label.empty()) sought.text(CKA_LABEL, what.label);
  if (!what.id.empty()) sought.bytes(CKA_ID, what.id);
  auto found = session().find(std::move(sought));
  if (found.empty()) {
    demand_login(doing);
    throw Error(Code::object_absent, "no secret key with " + wanted + " was found at " + token_name())
        .tried(doing)
        .next("list them with the token's own tool: pkcs11-tool --list-objects --type secrkey --login");
  }
  if (found.size() > 1) {
    std::string candidates;
    for (CK_OBJECT_HANDLE object : found) {
      ObjectSeen one = seen(object);
      candidates +=
          (candidates.empty() ? "" : ", ") + one.key_type + " label '" + one.label + "' id " + hex(one.id);
    }
    throw Error(Code::object_ambiguous, std::to_string(found.size()) + " keys fit " + wanted)
        .tried(doing)
        .cause("they are " + candidates)
        .next(
            "name label and id both; where two keys share them, give one another id with the token's own "
            "tool");
  }
  Birth out;
  out.ref = foreign_reference(session(), found.front(), version);
  out.attributes = all_attributes(session(), found.front(), CK_INVALID_HANDLE);
  for (std::string& name : differing(session(), found.front(), version, KeyPurpose::wrap))
    if (name != "CKA_LABEL" && name != "CKA_ID") out.left_out.push_back(std::move(name));
  usable(out.ref);
  return out;
}

std::optional<Birth> Pkcs11Provider::recover(const VersionRef& version, KeyPurpose purpose) {
  return repeatable([&] { return recover_once(version, purpose); });
}

std::optional<Birth> Pkcs11Provider::recover_once(const VersionRef& version, KeyPurpose purpose) {
  KeyRef sought{version, purpose, object_label(version), object_id(version), {}, std::nullopt, {}};
  NewKey made;
  try {
    made.key = locate(sought);
  } catch (const Error& error) {
    if (error.code() != Code::object_absent) throw;
    // Of a pair only the public half may be there: no key, then. The label is not used a second time.
    Enumeration all = enumerate_once();
    if (!all.complete)
      throw Error(Code::provider_unavailable, "the token's objects cannot be listed").cause(all.why);
    return std::nullopt;
  }
  if (is_signing(purpose)) {
    made.public_key = public_half(sought.id, sought.label);
    if (made.public_key == CK_INVALID_HANDLE)
      throw Error(Code::provider_failed,
                  "of the pair " + sought.label + " only the private half is at the token")
          .cause("the generation was interrupted between the two")
          .next("destroy the object with the token's own tool, then run the command again");
  }
  return birth_of(made, version, purpose, differing(session(), made.key, version, purpose));
}

}  // namespace kesu::p11
