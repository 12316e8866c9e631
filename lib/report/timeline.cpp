#include "report/timeline.h"

#include <algorithm>
#include <set>

#include "report/blocks.h"

namespace kesu::report {

std::string event_text(Event event, ReportLanguage language) {
  Words w{language};
  switch (event) {
    case Event::created:
      return w("生成", "created");
    case Event::activated:
      return w("使用開始", "activated");
    case Event::rotated:
      return w("新規使用の終了（更新）", "no longer for new data (rotated)");
    case Event::suspended:
      return w("一時停止", "suspended");
    case Event::compromised:
      return w("危殆化", "compromised");
    case Event::rewrapped:
      return w("データ鍵の包み直し", "data keys re-wrapped to it");
    case Event::intended:
      return w("破棄の開始", "destruction begun");
    case Event::failed:
      return w("破棄の失敗", "destruction failed");
    case Event::destroyed:
      return w("破棄の完了", "destroyed");
    case Event::requested:
      return w("申請", "requested");
    case Event::approved:
      return w("承認", "approved");
    case Event::started:
      return w("実行開始", "run");
    case Event::inspected:
      break;
  }
  return w("破棄後の検査", "inspected afterwards");
}

namespace {

// A year of use and the second in which all is destroyed in one picture: half of the width follows time, half
// the order of what happened.
class Scale {
 public:
  explicit Scale(const std::set<Millis>& instants) : at_(instants.begin(), instants.end()) {}
  double x(Millis t) const {
    if (at_.size() < 2) return 0.5;
    auto rank = std::lower_bound(at_.begin(), at_.end(), t) - at_.begin();
    double by_time = static_cast<double>(t - at_.front()) / static_cast<double>(at_.back() - at_.front());
    double by_rank = static_cast<double>(rank) / static_cast<double>(at_.size() - 1);
    return 0.5 * by_time + 0.5 * by_rank;
  }
  const std::vector<Millis>& instants() const { return at_; }

 private:
  std::vector<Millis> at_;
};

std::vector<Figure::Bar> bars_of(const Line& line, const Scale& scale) {
  std::vector<Figure::Bar> out;
  bool used = false, alive = false;
  Millis since = 0, last = scale.instants().back();
  auto close = [&](Millis t) {
    if (alive) out.push_back({scale.x(since), scale.x(t), used});
    since = t;
  };
  // Made before it was to be used: then its activation follows, and not a suspension before that.
  auto next = std::find_if(line.moments.begin(), line.moments.end(), [](const Moment& m) {
    return m.event != Event::created && m.event != Event::rewrapped;
  });
  bool early = next != line.moments.end() && next->event == Event::activated;
  for (const Moment& m : line.moments) {
    if (m.event == Event::created || m.event == Event::activated) {
      close(m.at);
      alive = true;
      used = m.event == Event::activated || !early;
    } else if (m.event == Event::rotated || m.event == Event::suspended || m.event == Event::compromised) {
      close(m.at);
      used = false;
    } else if (m.event == Event::destroyed) {
      close(m.at);
      alive = false;
    }
  }
  close(last);
  return out;
}

void add_ticks(Figure& figure, const Scale& scale) {
  constexpr double kGap = 0.155;  // room for one label
  const std::vector<Millis>& at = scale.instants();
  std::vector<Millis> chosen = {at.front()};
  if (at.size() > 1) {
    for (Millis t : at)
      if (scale.x(t) - scale.x(chosen.back()) >= kGap && 1 - scale.x(t) >= kGap) chosen.push_back(t);
    chosen.push_back(at.back());
  }
  for (Millis t : chosen) {
    std::string text = short_instant(t);
    figure.ticks.push_back({scale.x(t), text.substr(0, 10), text.substr(11, 8)});
  }
}

}  // namespace

Figure make_figure(const Model& model, ReportLanguage language) {
  Words w{language};
  Figure figure;
  std::set<Millis> instants;
  std::set<Event> events;
  size_t shown_lines = std::min(model.lines.size(), kMaxLanes);
  for (size_t i = 0; i < shown_lines; ++i)
    for (const Moment& m : model.lines[i].moments) instants.insert(m.at), events.insert(m.event);
  if (instants.empty()) return figure;
  Scale scale(instants);
  for (size_t i = 0; i < shown_lines; ++i) {
    const Line& line = model.lines[i];
    Figure::Lane lane{line.version.empty() ? w("消去の手続き", "the erasure") : shown(line.label), {}, {}};
    if (!line.version.empty()) lane.bars = bars_of(line, scale);
    for (const Moment& m : line.moments) lane.marks.push_back({scale.x(m.at), m.event});
    figure.lanes.push_back(std::move(lane));
  }
  add_ticks(figure, scale);
  for (Event e : events) figure.legend.emplace_back(e, event_text(e, language));
  figure.note = w("時刻は日本標準時（+09:00）。左から右へ時間順に並べてあるが、間隔は経過時間に比例しない。",
                  "Times are Japan's (+09:00). Left to right in the order of time; distances are not in "
                  "proportion to it.");
  if (model.lines.size() > shown_lines)
    figure.note += w("ほかの鍵バージョンは表に示す：", " Further key versions are in the table: ") +
                   grouped(static_cast<int64_t>(model.lines.size() - shown_lines));
  return figure;
}

}  // namespace kesu::report
