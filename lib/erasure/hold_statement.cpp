#include "erasure/hold_statement.h"

#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "hold statement";
}

std::vector<std::string> HoldStatement::summary() const {
  const std::string thing = (subject.starts_with("ds-") ? "dataset " : "key version ") + detail;
  return {"Releases the hold of case " + case_number + " on " + thing,
          "From then on " + thing + " can be erased"};
}

std::string HoldStatement::text() const {
  return Json::object({{"case", case_number},
                       {"detail", detail},
                       {"hold", hold.str()},
                       {"issued", utc_text(issued)},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"reason", reason},
                       {"role", "approver"},
                       {"subject", subject},
                       {"summary", statement::lines(summary())},
                       {"type", kHoldNamespace},
                       {"vault", vault.str()}})
      .pretty();
}

HoldStatement HoldStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kHoldNamespace, kWhat);
  HoldStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.hold = statement::id_of<HoldId>(doc, "hold", kWhat);
  s.subject = doc.str("subject");
  s.detail = doc.str("detail");
  s.case_number = doc.str("case");
  s.reason = doc.str("reason");
  s.issued = statement::time_of(doc, "issued", kWhat);
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat);
  s.name = doc.str("name");
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

}  // namespace kesu
