#include "erasure/exception_statement.h"

#include "base/error.h"
#include "base/json.h"

namespace kesu {

namespace {
Millis time_of(const Json& doc, const char* member) {
  auto t = parse_utc(doc.str(member));
  if (!t) throw Error(Code::bad_input, std::string("exception statement: \"") + member + "\" is no time");
  return *t;
}
template <class T>
T id_of(const Json& doc, const char* member) {
  auto id = T::parse(doc.str(member));
  if (!id)
    throw Error(Code::bad_input,
                std::string("exception statement: \"") + member + "\" is no identifier of its kind");
  return *id;
}
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
  Json lines(Json::Array{});
  for (const std::string& line : summary()) lines.push(line);
  return Json::object({{"detail", detail},
                       {"issued", utc_text(issued)},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"reason", reason},
                       {"role", "approver"},
                       {"subject", subject},
                       {"summary", lines},
                       {"type", kExceptionNamespace},
                       {"until", utc_text(until)},
                       {"vault", vault.str()},
                       {"what", what}})
      .pretty();
}

ExceptionStatement ExceptionStatement::parse(std::string_view text) {
  Json doc = parse_json(text, "exception statement", {.max_bytes = 65536, .max_depth = 4});
  if (doc.str("type") != kExceptionNamespace)
    throw Error(Code::bad_input, "exception statement: unknown type " + doc.str("type"));
  ExceptionStatement s;
  s.vault = id_of<VaultId>(doc, "vault");
  s.organisation = doc.str("organisation");
  s.what = doc.str("what");
  s.subject = doc.str("subject");
  s.detail = doc.str("detail");
  s.reason = doc.str("reason");
  s.until = time_of(doc, "until");
  s.issued = time_of(doc, "issued");
  s.operator_id = id_of<OperatorId>(doc, "operator");
  s.name = doc.str("name");
  if (text != s.text())
    throw Error(Code::bad_input, "the exception statement is not in its exact form")
        .next("members in order, two spaces of indentation, a line feed at the end (docs/spec/erasure.md)");
  return s;
}

}  // namespace kesu
