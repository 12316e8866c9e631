// The members of certificate.json that SP 800-88 Rev. 2 §4.6 asks for besides: who is reached how and where,
// what was done, and how it was verified (docs/spec/certificate.md, "Record of sanitization").
#include "certificate/document_impl.h"

namespace kesu::dossier {

namespace {
constexpr const char* kOfDatasets[] = {"service", "contact", "asset", "destination"};
constexpr const char* kOfPeople[] = {"contact", "place"};

Json text(const char* id, const char* en, const char* ja) {
  return Json::object({{"id", id}, {"en", en}, {"ja", ja}});
}

Json method() {
  return text(
      "cryptographic-erase",
      "Cryptographic erase: the keys of encrypted data were discarded, by destroying every key version "
      "from which a data key could ever be reached.",
      "暗号化消去：データキーに到達し得たすべての鍵バージョンを破棄し、暗号化されたデータの鍵を廃棄した。");
}

Json verification(const Dossier& d) {
  if (d.inspections.empty()) return text("none", "No inspection is shown.", "検査は示されていない。");
  return text(
      "inspection",
      "Every object of each provider enumerated before and after, each key, canary and sampled object "
      "tried with the keys before and after, beside a control key.",
      "破棄の前後に、鍵の保管装置の全オブジェクトを列挙し、各鍵・カナリア・標本の復号を対照鍵とともに"
      "試行した。");
}

void add(const Contact* contact, Json& to) {
  to.set("contact", contact ? contact->contact : "");
  to.set("place", contact ? contact->place : "");
}
}  // namespace

void read_contacts(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.seq >= d.a.size) break;  // what was recorded since the certificate is no part of it
    if (h.type != "contact-recorded") continue;
    const Json* body = d.body(h.seq);
    if (!body) {
      d.findings.bad(std::string(bundle::kBodies), brief_number(h.seq) + " (" + h.type + ") is not opened");
      continue;
    }
    d.findings.guard(brief_number(h.seq), [&] {
      d.contacts[h.nodes.front().id] = {body->str("contact"), body->str("place")};
    });
  }
}

void add_record(const Dossier& d, Json& document) {
  auto of = [&](const std::string& node) {
    auto it = d.contacts.find(node);
    return it == d.contacts.end() ? nullptr : &it->second;
  };
  for (size_t i = 0; i < d.datasets.size(); ++i)
    for (const char* member : kOfDatasets)
      document.as_object()
          .at("datasets")
          .as_array()
          .at(i)
          .set(member, d.datasets[i].settings.str_or(member, ""));
  for (Json& person : document.as_object().at("people").as_array()) add(of(person.str("operator")), person);
  Json contact = Json::object({});
  add(of(d.vault), contact);
  document.set("contact", contact).set("method", method()).set("verification", verification(d));
}

void drop_record(Json& document) {
  for (const char* member : {"contact", "method", "verification"}) document.as_object().erase(member);
  for (Json& dataset : document.as_object().at("datasets").as_array())
    for (const char* member : kOfDatasets) dataset.as_object().erase(member);
  for (Json& person : document.as_object().at("people").as_array())
    for (const char* member : kOfPeople) person.as_object().erase(member);
}

}  // namespace kesu::dossier
