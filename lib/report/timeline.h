// The key timeline as geometry, drawn alike by PDF and HTML: x from 0 to 1, a lane for each line.
#pragma once
#include <string>
#include <vector>

#include "report/model.h"
#include "report/report.h"

namespace kesu::report {

struct Figure {
  struct Bar {
    double from = 0, to = 0;
    bool used = false;  // for new data
  };
  struct Mark {
    double x = 0;
    Event event = Event::created;
  };
  struct Lane {
    std::string label;
    std::vector<Bar> bars;
    std::vector<Mark> marks;
  };
  struct Tick {
    double x = 0;
    std::string day, time;
  };
  std::vector<Lane> lanes;
  std::vector<Tick> ticks;
  std::vector<std::pair<Event, std::string>> legend;  // the events that occur
  std::string note;
};

// At most kMaxLanes; the note says how many are left out.
constexpr size_t kMaxLanes = 18;
Figure make_figure(const Model& model, ReportLanguage language);
std::string event_text(Event event, ReportLanguage language);

}  // namespace kesu::report
