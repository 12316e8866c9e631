#include "erasure/attest_statement.h"

#include <algorithm>

#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "key attestation statement";
}

std::vector<std::string> AttestStatement::summary() const {
  return {"Attended the making of key version " + key + " in " + provider + " (token " +
              identity.str_or("label", "") + ", serial " + identity.str_or("serial", "") + "), recorded " +
              utc_text(born),
          "The token says of it: generated inside, always sensitive, never extractable",
          "Its canary opened: transcript " + transcript, "No data key had been wrapped under it"};
}

std::string AttestStatement::text() const {
  return Json::object({{"attributes", attributes},
                       {"birth", birth},
                       {"born", utc_text(born)},
                       {"canary", canary},
                       {"identity", identity},
                       {"issued", utc_text(issued)},
                       {"key", key},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"provider", provider},
                       {"role", role},
                       {"summary", statement::lines(summary())},
                       {"transcript", transcript},
                       {"type", kAttestNamespace},
                       {"vault", vault.str()},
                       {"version", version.str()}})
      .pretty();
}

AttestStatement AttestStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kAttestNamespace, kWhat, 8);
  AttestStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.version = statement::id_of<VersionRef>(doc, "version", kWhat);
  s.key = doc.str("key");
  s.provider = doc.str("provider");
  s.identity = Json(doc.at("identity").as_object());
  s.attributes = Json(doc.at("attributes").as_object());
  s.birth = doc.str("birth");
  s.born = statement::time_of(doc, "born", kWhat);
  s.canary = doc.str("canary");
  s.transcript = doc.str("transcript");
  s.role = doc.str("role");
  if (std::find(std::begin(kAttestRoles), std::end(kAttestRoles), s.role) == std::end(kAttestRoles))
    throw Error(Code::bad_input, kWhat + ": no role of it: " + s.role);
  s.issued = statement::time_of(doc, "issued", kWhat);
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat);
  s.name = doc.str("name");
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

bool stayed_inside(const Json& attributes) {
  auto is = [&](std::string_view name, bool wanted) {
    const Json* value = attributes.find(name);
    return value && value->is_bool() && value->as_bool() == wanted;
  };
  return is("CKA_LOCAL", true) && is("CKA_SENSITIVE", true) && is("CKA_ALWAYS_SENSITIVE", true) &&
         is("CKA_EXTRACTABLE", false) && is("CKA_NEVER_EXTRACTABLE", true);
}

}  // namespace kesu
