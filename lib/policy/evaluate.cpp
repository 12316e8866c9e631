// The evaluator: docs/spec/policy.md, "Evaluation", whose rule numbers stand beside the code.
#include <algorithm>

#include "base/error.h"
#include "policy/data.h"

namespace kesu::policy {

namespace {

struct Refusal {
  std::string text;
  bool generate, process;  // which mode it blocks
  bool exception;          // a recorded exception may lift it
};

class Judge {
 public:
  explicit Judge(const Query& query) : q_(query), d_(data()), p_(query.parameters) {}

  Verdict run() {
    if (!resolve()) return std::move(v_);
    merge();
    choose_purpose();
    v_.category = a_->verdict.value_or(Category::listed);
    cite(a_->cite);
    for (const std::string& part : a_->parts) add_part(part);
    hash_parts();
    v_.strength_bits = row(strength());
    constraints();
    category_refusals();
    if (q_.profile == Profile::pqc) table2();
    bool refused =
        std::any_of(refusals_.begin(), refusals_.end(), [](const Refusal& r) { return r.process; });
    if (v_.strength_bits == 0 && !refused)
      refuse("key-length",
             v_.algorithm + " falls below the lowest row, 112 bits, or its strength is not known");
    horizons();
    judge_year();
    if (!a_->remark.empty()) remarks_.push_back(a_->remark);
    finish();
    return std::move(v_);
  }

 private:
  // Rule 1. False when the verdict is complete: an unknown name, or a list entry that is no algorithm of its
  // own.
  bool resolve() {
    v_.algorithm = q_.algorithm;
    v_.period_word = "-";
    v_.period_reading = "no cell applies";
    if (q_.purpose) v_.purpose = *q_.purpose;
    std::string key = fold(q_.algorithm);
    if (auto it = d_.name_by_name.find(key); it != d_.name_by_name.end()) {
      name_ = &d_.names[it->second];
      key = fold(name_->of);
      v_.algorithm = name_->name;
      cite(name_->cite);
    }
    if (auto it = d_.algorithm_by_name.find(key); it != d_.algorithm_by_name.end()) {
      a_ = &d_.algorithms[it->second];
      if (!name_) v_.algorithm = a_->name;
      return true;
    }
    if (const EntryLine* e = d_.entry_folded(q_.algorithm)) {
      v_.algorithm = e->name;
      v_.category = list_category(*e);
      cite_entry(*e);
      refuse("part", e->name + " names a part only; ask for the whole construction, such as AES-256-GCM");
    } else {
      refuse("unknown-name", "the registry holds no algorithm of the name \"" + q_.algorithm + "\"");
    }
    finish();
    return false;
  }

  // Rule 2.
  template <class T>
  void take(T& stated, const T& preset, std::string_view member) {
    static const T kNone{};
    if (preset != kNone && stated != kNone && stated != preset)
      refuse("parameter",
             v_.algorithm + " fixes the parameter " + std::string(member) + ", and another value is stated");
    if (preset != kNone) stated = preset;
    bool takes = std::find(a_->params.begin(), a_->params.end(), member) != a_->params.end();
    if (stated != kNone && !takes) {
      refuse("parameter", v_.algorithm + " takes no parameter " + std::string(member));
      stated = kNone;
    }
  }

  void merge() {
    p_.curve = curve(p_.curve);
    p_.hash = hash(p_.hash);
    p_.mgf = hash(p_.mgf);
    const Parameters set = name_ ? name_->set : Parameters{};
    take(p_.bits, set.bits, "bits");
    take(p_.subgroup, set.subgroup, "subgroup");
    take(p_.iv, {}, "iv");
    take(p_.output, {}, "output");
    take(p_.blocks, {}, "blocks");
    take(p_.curve, set.curve, "curve");
    take(p_.hash, set.hash, "hash");
    take(p_.mgf, set.mgf, "mgf");
    take(p_.with, set.with, "with");
    if (!p_.bits && a_->sizes.size() == 1) p_.bits = a_->sizes.front();
  }

  // The registered form of a curve or hash name; a name that is not known stays, and is refused where it is
  // used.
  std::string curve(const std::string& name) const {
    for (const StrengthLine& s : d_.strengths) {
      if (!s.curve.empty() && fold(s.curve) == fold(name)) return s.curve;
      for (const std::string& alias : s.aliases)
        if (fold(alias) == fold(name)) return s.curve;
    }
    return name;
  }

  const Algorithm* algorithm(const std::string& name) const {
    auto it = d_.algorithm_by_name.find(fold(name));
    return it == d_.algorithm_by_name.end() ? nullptr : &d_.algorithms[it->second];
  }

  std::string hash(const std::string& name) const {
    const Algorithm* found = algorithm(name);
    return found ? found->name : name;
  }

  // Rule 4.
  void choose_purpose() {
    v_.purpose = q_.purpose.value_or(a_->purposes.front());
    if (std::find(a_->purposes.begin(), a_->purposes.end(), v_.purpose) == a_->purposes.end())
      refuse("purpose", v_.algorithm + " does not serve the purpose " + std::string(text(v_.purpose)));
  }

  static Category list_category(const EntryLine& e) {
    if (e.list == "recommended") return Category::listed;
    return e.list == "candidate" ? Category::candidate : Category::monitored;
  }

  void cite_entry(const EntryLine& e) {
    cite(e.cite);
    for (int note : e.notes) cite(d_.notes.at(note).cite);
  }

  void worsen(Category c, const std::string& by) {
    if (c <= v_.category) return;
    v_.category = c;
    worst_ = by;
  }

  // Rule 5. Parts may be named through the key bits: "ML-KEM-{bits}".
  void add_part(std::string part) {
    if (size_t at = part.find("{bits}"); at != std::string::npos) {
      if (!p_.bits) {
        worsen(Category::not_listed, v_.algorithm);
        return refuse("parameter", v_.algorithm + ": the parameter set (bits) must be stated");
      }
      part.replace(at, 6, std::to_string(*p_.bits));
    }
    const EntryLine* e = d_.entry(part, 0);
    if (!e) e = d_.entry(part, 2);
    if (!e) return worsen(Category::not_listed, part);
    worsen(list_category(*e), e->name);
    cite_entry(*e);
    parts_.push_back(e);
  }

  void add_hash(const std::string& name) {
    const Algorithm* found = algorithm(name);
    if (!found || !d_.hash(found->name)) {
      worsen(Category::not_listed, name);
      return refuse("unknown-name", "the hash " + name + " is on none of the lists");
    }
    for (const std::string& part : found->parts) add_part(part);
  }

  void hash_parts() {
    if (a_->hash_role.empty()) return;
    if (p_.hash.empty() && !a_->hash_default.empty()) {
      p_.hash = a_->hash_default;
      remarks_.push_back("no hash was stated: the standard's default, " + p_.hash + ", is judged");
    }
    if (p_.hash.empty()) return refuse("parameter", v_.algorithm + ": the hash must be stated");
    add_hash(p_.hash);
    if (!p_.mgf.empty() && p_.mgf != p_.hash) add_hash(p_.mgf);
    bool has_mgf = std::find(a_->params.begin(), a_->params.end(), "mgf") != a_->params.end();
    if (has_mgf && p_.mgf.empty())
      remarks_.push_back("no hash of MGF1 was stated: " + p_.hash + " is taken for both");
    if (!a_->hashes.empty() && std::find(a_->hashes.begin(), a_->hashes.end(), p_.hash) == a_->hashes.end())
      refuse("outside", a_->name + " is allowed with " + a_->hashes.front() + " only");
  }

  // The row of the period table that `bits` reaches; 0 below the lowest.
  int row(int bits) const {
    int best = 0;
    for (const PeriodRow& p : d_.periods)
      if (p.strength_bits <= bits) best = std::max(best, p.strength_bits);
    return best;
  }

  void note_reading(const std::string& reading) {
    if (reading.starts_with("stricter")) remarks_.push_back("reading: " + reading);
  }

  int hash_strength(const std::string& name) {
    const HashLine* h = d_.hash(name);
    if (!h) return 0;
    cite(h->cite);
    if (a_->hash_role == "preimage") return h->preimage;
    if (!h->xof) return h->collision;
    return p_.output ? std::min(*p_.output / 2, h->collision) : 0;
  }

  int key_strength() {
    const StrengthLine* best = nullptr;
    bool by_curve = false, family_known = false;
    for (const StrengthLine& s : d_.strengths) {
      if (s.family != a_->family) continue;
      family_known = true;
      by_curve = by_curve || !s.curve.empty();
      bool meets = !s.curve.empty() ? s.curve == p_.curve
                   : s.exactly      ? p_.bits == s.exactly
                               : p_.bits.value_or(0) >= s.at_least && p_.subgroup.value_or(0) >= s.subgroup;
      if (meets && (!best || s.bits > best->bits)) best = &s;
    }
    if (!family_known) return 0;
    if (best) {
      cite(best->cite);
      note_reading(best->reading);
      return best->bits;
    }
    if (by_curve && p_.curve.empty())
      refuse("parameter", v_.algorithm + ": the curve must be stated");
    else if (by_curve)
      refuse("key-length", "the curve " + p_.curve + " has no row for " + a_->name);
    else if (!p_.bits)
      refuse("parameter", v_.algorithm + ": the key length (bits) must be stated");
    else if (a_->family == "FFC" && !p_.subgroup)
      refuse("parameter", v_.algorithm + ": the subgroup's bits must be stated");
    else
      refuse("key-length", v_.algorithm + ": a key of " + std::to_string(*p_.bits) + " bits meets no row");
    return 0;
  }

  // Rule 7.
  int strength() {
    int bits = 256;
    if (a_->family == "none") {
      bits = a_->fixed;
      note_reading(a_->reading);
    } else if (a_->family == "hash") {
      bits = hash_strength(a_->name);
    } else if (a_->family == "digest") {
      bits = hash_strength(p_.hash);
    } else if (a_->family == "keyed-hash") {
      bits = hash_strength(p_.hash);
      if (p_.bits) bits = std::min(bits, *p_.bits);
    } else if (a_->family == "with") {
      bits = with_strength();
    } else {
      bits = key_strength();
      if (a_->verdict) note_reading(a_->reading);
      if (a_->hash_role == "collision" || a_->hash_role == "preimage") {
        int limit = hash_strength(p_.hash);
        if (row(limit) < row(bits) && limit > 0) {
          remarks_.push_back("capped by its hash " + p_.hash + " at " + std::to_string(limit) + " bits");
          cite(d_.rule("signature-hash").cite);
        }
        bits = std::min(bits, limit);
      }
    }
    if (v_.purpose == Purpose::mac && p_.output) bits = std::min(bits, *p_.output);
    return bits;
  }

  int with_strength() {
    if (p_.with.empty()) {
      refuse("parameter", v_.algorithm + ": the algorithm it runs on (with) must be stated");
      return 0;
    }
    auto it = d_.name_by_name.find(fold(p_.with));
    const Algorithm* inner = algorithm(it == d_.name_by_name.end() ? p_.with : d_.names[it->second].of);
    if (inner && inner->family == "with") {
      refuse("parameter", v_.algorithm + " does not run on " + p_.with);
      return 0;
    }
    Query query{p_.with, {}, {}, q_.mode, q_.end_year, q_.now_year, q_.profile};
    if (v_.purpose == Purpose::payload) query.purpose = Purpose::payload;
    Verdict sub = evaluate(query);
    worsen(sub.category, sub.algorithm);
    for (const std::string& text : sub.citations) cite(text);
    if (sub.horizon_year_new == 0 || sub.horizon_year_process == 0)
      refusals_.push_back({"it runs on " + sub.algorithm + ": " + sub.reason, sub.horizon_year_new == 0,
                           sub.horizon_year_process == 0, false});
    return sub.strength_bits;
  }

  void constraints() {
    if (a_->part)
      refuse("part", v_.algorithm + " names a part only; ask for it within a mode, such as AES-256-GCM");
    if (a_->iv && p_.iv && *p_.iv != a_->iv)
      refuse("parameter", v_.algorithm + ": nonces of " + std::to_string(a_->iv) + " bits only, not " +
                              std::to_string(*p_.iv));
    if (!a_->sizes.empty() && p_.bits &&
        std::find(a_->sizes.begin(), a_->sizes.end(), *p_.bits) == a_->sizes.end())
      refuse("key-length", v_.algorithm + " has no key of " + std::to_string(*p_.bits) + " bits");
    if (a_->min_output && p_.output.value_or(0) < a_->min_output)
      refuse("parameter", v_.algorithm + ": an output of " + std::to_string(a_->min_output) +
                              " bits or more must be stated" +
                              (p_.output ? ", not " + std::to_string(*p_.output) : ""));
    if (a_->min_bits_new && p_.bits && *p_.bits < a_->min_bits_new)
      refuse("key-length",
             v_.algorithm + ": kesu asks for " + std::to_string(a_->min_bits_new) + " bits or more", false);
    if (!a_->max_blocks) return;
    std::string limit = "a key meets at most " + std::to_string(a_->max_blocks) + " blocks";
    if (p_.blocks.value_or(0) > a_->max_blocks)
      refuse("parameter", v_.algorithm + ": " + limit);
    else if (!p_.blocks)
      remarks_.push_back("64-bit blocks: " + limit);
  }

  void category_refusals() {
    switch (v_.category) {
      case Category::listed:
        return;
      case Category::outside_categories:
        if (a_->allow) return remarks_.push_back(a_->why);
        refuse("outside", v_.algorithm + ": " + a_->why);
        return;
      case Category::candidate:
      case Category::monitored: {
        std::string id(text(v_.category));
        bool whole = worst_.empty() || worst_ == v_.algorithm;
        refuse(id, v_.algorithm + (whole ? "" : ", by " + worst_ + ",") + " is " + d_.rule(id).text, false);
        if (q_.mode == Mode::process) remarks_.push_back(d_.rule(id).text);
        return;
      }
      case Category::not_listed:
        if (a_->verdict == Category::not_listed)
          refuse("unknown-name", v_.algorithm + " is not listed: " + a_->why, true, a_->exception);
        else
          refuse("unknown-name", v_.algorithm + ": " + worst_ + " is on none of the lists");
    }
  }

  // Rule 10.
  void table2() {
    cite(d_.rule("pqc").cite);
    for (const EntryLine* e : parts_) {
      bool no_row = e->category.starts_with("暗号利用モード") || e->category == "メッセージ認証コード" ||
                    e->category == "エンティティ認証";
      if (no_row || e->table == 2) continue;
      const EntryLine* found = d_.entry(e->name, 2);
      if (!found && p_.bits) found = d_.entry(e->name + "-" + std::to_string(*p_.bits), 2);
      if (found) {
        cite(found->cite);
        continue;
      }
      refuse("pqc", v_.algorithm + ": " + e->name +
                        (p_.bits ? " with " + std::to_string(*p_.bits) + " bits" : "") +
                        " is not in table 2, the PQC list");
    }
  }

  const PeriodRow* cell(int year, Mode mode) const {
    const PeriodRow* last = nullptr;
    for (const PeriodRow& p : d_.periods) {
      if (p.strength_bits != v_.strength_bits || p.mode != mode) continue;
      if (year >= p.from && year <= p.to) return &p;
      last = &p;
    }
    return last;  // beyond the last column
  }

  bool word_allows(const PeriodRow& p, Mode mode) const {
    const WordLine& w = d_.word(p.word);
    return mode == Mode::generate ? w.generate : w.process;
  }

  int horizon(Mode mode) const {
    for (const Refusal& r : refusals_)
      if (!r.exception && (mode == Mode::generate ? r.generate : r.process)) return 0;
    int last = 0;
    for (const PeriodRow& p : d_.periods) {
      if (p.strength_bits != v_.strength_bits || p.mode != mode) continue;
      if (!a_->exempt && !word_allows(p, mode)) return last;
      last = p.to;
    }
    bool bounded = mode == Mode::generate && !a_->open_ended.empty();
    return v_.strength_bits >= 192 && !bounded ? kNoLimit : last;
  }

  void horizons() {
    v_.horizon_year_new = horizon(Mode::generate);
    v_.horizon_year_process = horizon(Mode::process);
  }

  // Rules 8 and 9.
  void judge_year() {
    std::optional<int> year = q_.end_year;
    if (year && *year < q_.now_year) {
      remarks_.push_back("the end year " + std::to_string(*year) + " has passed: judged for " +
                         std::to_string(q_.now_year));
      cite(d_.rule("year").cite);
      year = q_.now_year;
    }
    if (year && *year < d_.periods.front().from)
      refuse("year", "the end year " + std::to_string(*year) + " lies before the period table");
    if (v_.strength_bits == 0) return;
    const int last_year = cell(kNoLimit, q_.mode)->to;
    const bool open = !year || *year > last_year;
    const PeriodRow* found = cell(open ? kNoLimit : *year, q_.mode);
    if (a_->exempt) {
      v_.period_reading = d_.rule("exempt").text;
      cite(d_.rule("exempt").cite);
    } else {
      v_.period_word = found->word;
      v_.period_reading = found->reading;
      cite(found->citation);
    }
    std::string until = year ? "until " + std::to_string(*year) : "without an end year";
    if (open) {
      cite(d_.rule("open-ended").cite);
      if (year)
        remarks_.push_back("the period table ends at " + std::to_string(last_year) + ": 192 bits or more");
    }
    if (open && q_.mode == Mode::generate && a_->open_ended == "exception") {
      refuse("open-ended", v_.algorithm + " " + until + " needs a recorded exception", true, true);
    } else if (open ? v_.strength_bits < 192 : !a_->exempt && !word_allows(*found, q_.mode)) {
      refuse(open ? "open-ended" : "key-length",
             std::to_string(v_.strength_bits) + " bits do not suffice " + until + " (" +
                 (q_.mode == Mode::generate ? "新規生成" : "処理") + ": " + found->word + ")");
    } else if (!a_->exempt && found->word != "利用可") {
      remarks_.push_back(found->word + " " + std::to_string(found->from) + "–" + std::to_string(found->to) +
                         ": " + d_.word(found->word).meaning);
    }
  }

  void refuse(const std::string& rule, std::string why, bool both = true, bool exception = false) {
    rule_cites_.push_back({d_.rule(rule).cite, both});
    refusals_.push_back({std::move(why), true, both, exception});
  }

  void cite(const std::string& source) {
    if (std::find(v_.citations.begin(), v_.citations.end(), source) == v_.citations.end())
      v_.citations.push_back(source);
  }

  void finish() {
    bool all_exceptions = true;
    for (const Refusal& r : refusals_) {
      if (!(q_.mode == Mode::generate ? r.generate : r.process)) continue;
      all_exceptions = all_exceptions && r.exception;
      v_.findings.push_back(r.text);
    }
    for (const auto& [source, both] : rule_cites_)
      if (both || q_.mode == Mode::generate) cite(source);
    v_.allowed = v_.findings.empty();
    v_.exception_possible = !v_.allowed && all_exceptions;
    if (!v_.allowed) {
      v_.reason = v_.findings.front();
    } else {
      std::string bits = std::to_string(v_.strength_bits) + " bits";
      std::string until = q_.end_year ? " until " + std::to_string(*q_.end_year) : " without an end year";
      bool outside = v_.category == Category::outside_categories;
      std::string where =
          outside ? " lies outside the lists' categories" : " is " + std::string(text(v_.category));
      v_.reason = v_.algorithm + where + " and its " + bits + " suffice" + until;
    }
    v_.findings.insert(v_.findings.end(), remarks_.begin(), remarks_.end());
  }

  const Query& q_;
  const Data& d_;
  Parameters p_;
  Verdict v_;
  const Algorithm* a_ = nullptr;
  const NameLine* name_ = nullptr;
  std::string worst_;  // the part that decided the category, when a part did
  std::vector<const EntryLine*> parts_;
  std::vector<Refusal> refusals_;
  std::vector<std::string> remarks_;
  std::vector<std::pair<std::string, bool>> rule_cites_;
};

}  // namespace

Verdict evaluate(const Query& query) { return Judge(query).run(); }

}  // namespace kesu::policy
