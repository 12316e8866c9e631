// Exceptions that were recorded about what is in scope: disclosed, whatever they say. And what the ledger
// knows of the clock.
#include <algorithm>

#include "certificate/dossier_impl.h"

namespace kesu::dossier {

void read_exceptions(Dossier& d) {
  std::set<std::string> ours(d.datasets_in_scope);
  ours.insert(d.vault);  // an algorithm is excepted for the whole vault
  ours.insert(d.kill.versions.begin(), d.kill.versions.end());
  ours.insert(d.kill.copies.begin(), d.kill.copies.end());
  for (const Header& h : d.headers) {
    if (h.type != "exception-recorded") continue;
    auto named = std::find_if(h.nodes.begin(), h.nodes.end(),
                              [&](const NodeMention& m) { return ours.contains(m.id); });
    if (named == h.nodes.end()) continue;
    ExceptionFacts e;
    e.seq = h.seq;
    e.subject = named->id;
    if (const Json* body = d.body(h.seq)) {
      d.findings.guard(brief_number(h.seq), [&] {
        e.what = body->str("what");
        e.subject = body->str("subject");
        e.detail = body->str_or("detail", "");
        e.reason = body->str_or("reason", "");
        const Json& until = body->at("until");
        e.until = until.is_null() ? "" : until.as_string();
        const std::string who = body->str_or("operator", "");
        auto person = d.people.find(who);
        e.approver = person == d.people.end() ? who : person->second.name;
        e.shown = true;
      });
    } else {
      d.findings.weak(std::string(bundle::kBodies),
                      brief_number(h.seq) + " (exception-recorded) is not opened");
    }
    d.exceptions.push_back(std::move(e));
  }
}

void read_clock_findings(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.type != "finding-recorded" ||
        std::none_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) { return m.id == d.vault; }))
      continue;
    // What is not shown may be one: leaving its body out gains nothing.
    const Json* body = d.body(h.seq);
    const std::string what = body ? body->str_or("what", "") : "";
    const bool known = what == "clock-jumped" || what == "clock-behind";
    if (known || what.empty()) d.clock_findings.push_back({h.seq, h.time, what});
  }
}

}  // namespace kesu::dossier
