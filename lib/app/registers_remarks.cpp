#include "app/registers_impl.h"

namespace kesu::registers {

Json list(const std::vector<std::string>& items) {
  Json out(Json::Array{});
  for (const std::string& s : items) out.push(s);
  return out;
}
std::vector<std::string> strings(const Json& v) {
  std::vector<std::string> out;
  for (const Json& item : v.as_array()) out.push_back(item.as_string());
  return out;
}

Json row(const CopyRecord& c) {
  return Json::object({{"id", c.id},
                       {"state", c.state},
                       {"kind", c.kind},
                       {"place", c.place},
                       {"custodian", c.custodian},
                       {"medium", c.medium},
                       {"provider", c.provider},
                       {"how", c.how},
                       {"generation", c.generation},
                       {"versions", list(c.versions)},
                       {"registered", c.registered},
                       {"ended", c.ended},
                       {"share", c.share},
                       {"actor", c.actor},
                       {"writing", c.writing}});
}
void read(const Json& j, CopyRecord& c) {
  c = {j.str("id"),         j.str("state"),    j.str("kind"), j.str("place"),      j.str("custodian"),
       j.str("medium"),     j.str("provider"), j.str("how"),  j.num("generation"), strings(j.at("versions")),
       j.num("registered"), j.num("ended"),    j.at("share"), j.at("actor"),       j.flag("writing")};
}

Json row(const HoldRecord& h) {
  return Json::object({{"id", h.id},
                       {"subject", h.subject},
                       {"case", h.case_number},
                       {"reason", h.reason},
                       {"placed_by", h.placed_by},
                       {"release_reason", h.release_reason},
                       {"placed", h.placed},
                       {"released", h.released}});
}
void read(const Json& j, HoldRecord& h) {
  h = {j.str("id"),        j.str("subject"),        j.str("case"),   j.str("reason"),
       j.str("placed_by"), j.str("release_reason"), j.num("placed"), j.num("released")};
}

Json row(const FindingRecord& f) {
  return Json::object({{"node", f.node}, {"what", f.what}, {"detail", f.detail}, {"time", f.time}});
}
void read(const Json& j, FindingRecord& f) {
  f = {j.str("node"), j.str("what"), j.str("detail"), j.num("time")};
}

Json row(const ContactRecord& c) {
  return Json::object({{"node", c.node}, {"contact", c.contact}, {"place", c.place}, {"time", c.time}});
}
void read(const Json& j, ContactRecord& c) {
  c = {j.str("node"), j.str("contact"), j.str("place"), j.num("time")};
}

Json row(const NoticeRecord& n) {
  return Json::object({{"id", n.id},
                       {"erasure", n.erasure},
                       {"type", n.type},
                       {"document", n.document},
                       {"signature", n.signature},
                       {"notice", n.notice},
                       {"issued", n.issued}});
}
void read(const Json& j, NoticeRecord& n) {
  n = {j.str("id"),        j.str("erasure"), j.str("type"),  j.str("document"),
       j.str("signature"), j.str("notice"),  j.num("issued")};
}

Json row(const ExceptionRecord& e) {
  return Json::object({{"what", e.what},
                       {"subject", e.subject},
                       {"detail", e.detail},
                       {"reason", e.reason},
                       {"approver", e.approver},
                       {"time", e.time},
                       {"until", e.until}});
}
void read(const Json& j, ExceptionRecord& e) {
  e = {j.str("what"),     j.str("subject"), j.str("detail"), j.str("reason"),
       j.str("approver"), j.num("time"),    j.num("until")};
}

}  // namespace kesu::registers
