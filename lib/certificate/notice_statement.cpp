// The words of a notice, superseding record or failure report, made from its other members
// (docs/spec/notices.md, "Statement").
#include <algorithm>

#include "certificate/notice_impl.h"

namespace kesu {

namespace {
constexpr notice::Kind kKinds[] = {
    {notice::kNotice, "notice", "Notice of disablement", "使用停止通知書", "requested approved running",
     "withheld", "notice-issued"},
    {notice::kSuperseding, "superseding", "Superseding record", "通知の取消記録", "cancelled rejected",
     "in-use", "notice-superseded"},
    {notice::kFailure, "failure", "Failure report", "消去の不完了報告書", "running failed",
     "destroyed not-destroyed not-tried unknown", "failure-reported"}};
bool has_word(std::string_view words, const std::string& word) {
  return !word.empty() && word.find(' ') == std::string::npos &&
         (" " + std::string(words) + " ").find(" " + word + " ") != std::string::npos;
}

size_t count_of(const Json& document, const char* member) { return document.at(member).as_array().size(); }

std::string names_in(const Json& document, const char* between) {
  std::string out;
  for (const Json& d : document.at("datasets").as_array())
    out += (out.empty() ? "" : between) + d.str("name");
  return out;
}

std::string counted(size_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

Json words(std::string en, std::string ja) {
  return Json::object({{"en", std::move(en)}, {"ja", std::move(ja)}});
}

Json disablement(const Json& d, const std::string& who, const std::string& erasure,
                 const std::string& stage) {
  const bool running = stage == "running";
  const size_t keys = count_of(d, "keys");
  return words(
      who + " gives notice that " + names_in(d, ", ") + " is to be made unreadable by erasure " + erasure +
          ", which is " + stage +
          ". Since its request kesu seals nothing more into it and protects nothing "
          "new under " +
          counted(keys, "key version") + "; " +
          (running ? "opening is refused, too. " : "until the erasure runs, opening goes on. ") +
          "The keys exist: their provider would still act for whoever may use them. Nothing has been "
          "destroyed, and "
          "this can be taken back until the destruction of the first key version begins.",
      who + "は、消去" + erasure + "（段階：" + stage + "）により" + names_in(d, "、") +
          "を読めなくする予定であることを通知する。申請の時から kesu はこれに新たな封入を行わず、" +
          std::to_string(keys) + "個の鍵バージョンで新たな保護を行わない。" +
          (running ? "復号も拒む。" : "消去の実行までは復号できる。") +
          "鍵は存在し、プロバイダーは権限を持つ者の求めに応じる。何も破棄されておらず、最初の鍵バージョン"
          "の破棄が始まるまで取り消すことができる。");
}

Json superseding(const Json& d, const std::string& who, const std::string& erasure,
                 const std::string& stage) {
  const size_t notices = count_of(d, "supersedes");
  return words(who + " declares that erasure " + erasure + " of " + names_in(d, ", ") + " is " + stage +
                   ": " + counted(notices, "notice") + " issued before " + (notices == 1 ? "has" : "have") +
                   " no effect any more. Its keys were not destroyed by it and serve again.",
               who + "は、" + names_in(d, "、") + "の消去" + erasure + "が" + stage +
                   "となったことを表明する。先に発行した通知" + std::to_string(notices) +
                   "件は効力を失った。この消去による鍵の破棄は行われず、鍵は再び使用できる。");
}

Json failure(const Json& d, const std::string& who, const std::string& erasure) {
  size_t gone = 0, unknown = 0;
  for (const Json& k : d.at("keys").as_array()) {
    gone += k.str("outcome") == "destroyed";
    unknown += k.str("outcome") == "unknown";
  }
  const size_t all = count_of(d, "keys"), left = all - gone - unknown;
  return words(
      who + " reports that erasure " + erasure + " of " + names_in(d, ", ") +
          " began and is not complete: of " + counted(all, "key version") + " " + std::to_string(gone) +
          " destroyed, " + std::to_string(left) + " not destroyed, " + std::to_string(unknown) +
          " unknown. What was destroyed cannot be brought back. None of this data may be taken for "
          "unreadable" +
          (left + unknown == 0 ? ": the inspection after destruction has not shown every key absent." : "."),
      who + "は、" + names_in(d, "、") + "の消去" + erasure +
          "が開始されたが完了していないことを報告する。鍵バージョン" + std::to_string(all) +
          "個のうち、破棄済み" + std::to_string(gone) + "個、未破棄" + std::to_string(left) + "個、不明" +
          std::to_string(unknown) +
          "個。破棄されたものは元に戻せない。対象データを読めなくなったものとして扱ってはならない" +
          (left + unknown == 0 ? "（破棄後の検査により全鍵の不在が示されていない）。" : "。"));
}
}  // namespace

const notice::Kind* notice::kind_of(std::string_view type) {
  for (const Kind& k : kKinds)
    if (k.type == type) return &k;
  return nullptr;
}

Json notice_statement(const Json& d) {
  const std::string& type = d.str("type");
  const std::string &who = d.str("organisation"), &erasure = d.str("erasure"), &stage = d.str("stage");
  const notice::Kind* kind = notice::kind_of(type);
  if (!kind) throw Error(Code::bad_input, "type: " + type);
  if (!has_word(kind->stages, stage))
    throw Error(Code::bad_input, "stage: is none of a " + std::string(kind->word) + ": " + stage);
  if (d.at("keys").as_array().empty() || d.at("datasets").as_array().empty())
    throw Error(Code::bad_input, "keys or datasets: are empty");
  for (const Json& k : d.at("keys").as_array())
    if (!has_word(kind->outcomes, k.str("outcome")))
      throw Error(Code::bad_input,
                  "outcome: is none of a " + std::string(kind->word) + ": " + k.str("outcome"));
  if (type == notice::kNotice) return disablement(d, who, erasure, stage);
  if (type == notice::kSuperseding) return superseding(d, who, erasure, stage);
  return failure(d, who, erasure);
}

}  // namespace kesu
