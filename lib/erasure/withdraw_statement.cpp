#include "erasure/withdraw_statement.h"

#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "withdrawal statement";
}

std::vector<std::string> WithdrawStatement::summary() const {
  return {"Withdraws certificate " + certificate.str() + " of the erasure of dataset " + datasets,
          "From then on nobody may rely on it; the keys stay destroyed"};
}

std::string WithdrawStatement::text() const {
  return Json::object({{"certificate", certificate.str()},
                       {"datasets", datasets},
                       {"document", document},
                       {"erasure", erasure.str()},
                       {"issued", utc_text(issued)},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"reason", reason},
                       {"role", "approver"},
                       {"summary", statement::lines(summary())},
                       {"type", kWithdrawNamespace},
                       {"vault", vault.str()}})
      .pretty();
}

WithdrawStatement WithdrawStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kWithdrawNamespace, kWhat);
  WithdrawStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.certificate = statement::id_of<CertificateId>(doc, "certificate", kWhat);
  s.document = doc.str("document");
  s.erasure = statement::id_of<ErasureId>(doc, "erasure", kWhat);
  s.datasets = doc.str("datasets");
  s.reason = doc.str("reason");
  s.issued = statement::time_of(doc, "issued", kWhat);
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat);
  s.name = doc.str("name");
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

}  // namespace kesu
