#include "erasure/exception_statement.h"

#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "exception statement";
}  // namespace

std::vector<std::string> ExceptionStatement::summary() const {
  const std::string end = " until " + utc_text(until);
  if (what == "originator-period")
    return {"Lets key version " + detail + " protect new data" + end, "Its cryptoperiod ends before that"};
  if (what == "recipient-period")
    return {"Lets key version " + detail + " open what it protected" + end,
            "Its cryptoperiod ends before that"};
  if (what == "algorithm")
    return {"Lets new datasets use " + detail + end, "The policy refuses it without an exception"};
  throw Error(Code::bad_input, "exception statement: unknown \"what\": " + what);
}

std::string ExceptionStatement::text() const {
  return Json::object({{"detail", detail},
                       {"issued", utc_text(issued)},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"reason", reason},
                       {"role", "approver"},
                       {"subject", subject},
                       {"summary", statement::lines(summary())},
                       {"type", kExceptionNamespace},
                       {"until", utc_text(until)},
                       {"vault", vault.str()},
                       {"what", what}})
      .pretty();
}

ExceptionStatement ExceptionStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kExceptionNamespace, kWhat);
  ExceptionStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.what = doc.str("what");
  s.subject = doc.str("subject");
  s.detail = doc.str("detail");
  s.reason = doc.str("reason");
  s.until = statement::time_of(doc, "until", kWhat);
  s.issued = statement::time_of(doc, "issued", kWhat);
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat);
  s.name = doc.str("name");
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

}  // namespace kesu
