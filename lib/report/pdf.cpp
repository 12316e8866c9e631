// The blocks as A4 pages. Two runs over the same blocks: the first counts the pages, the second draws them.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/memory.h"
#include "report/page_impl.h"

namespace kesu {

namespace report {
namespace {

constexpr double kBody = 9.2, kTable = 8, kSmall = 6.8, kPad = 3.2;
constexpr double kKept = 0.4 * (kBottom - kTop);  // rows up to this height are kept on one page

struct Output {
  Bytes bytes;
  size_t fonts_let_go = 0;  // when there were so many bytes
};
cairo_status_t take(void* to, const unsigned char* data, unsigned int length) {
  auto& out = *static_cast<Output*>(to);
  out.bytes.insert(out.bytes.end(), data, data + length);
  // Each font is read whole before what is used of it is written.
  constexpr size_t kAgain = 16384;
  if (out.bytes.size() - out.fonts_let_go >= kAgain) {
    Fonts::let_go();
    out.fonts_let_go = out.bytes.size();
  }
  return CAIRO_STATUS_SUCCESS;
}

Colour colour_of(Tone tone) {
  return tone == Tone::muted ? kGrey : tone == Tone::warn ? kRed : tone == Tone::good ? kGreen : kInk;
}
bool is_bold(Tone tone) { return tone != Tone::plain && tone != Tone::muted; }

// Cairo copies a table of 16 MB out of a font file eight times over, each time into a block of its own. glibc
// has such a block mapped anew, and its pages come one by one: six times as long as the copying. From the
// first block of that size that is freed on they come from the heap; this is that first one, never touched.
// What the heap keeps meanwhile is as much again as one of them: not where much is held already.
void keep_large_blocks() {
  constexpr size_t kFontTable = size_t{17} << 20;
  if (resident_memory() >= kMuchMemory / 2) return;
  void* volatile block = std::malloc(kFontTable);
  std::free(block);
}

class Paginator {
 public:
  // Without `cr` nothing is drawn.
  Paginator(const Fonts& fonts, cairo_surface_t* surface, cairo_t* cr, std::string running, size_t pages)
      : fonts_(fonts),
        d_(drawing()),
        surface_(surface),
        cr_(cr),
        running_(std::move(running)),
        pages_(pages) {}

  void run(const Document& document) {
    language_ = document.language;
    if (page_ > 0) end_page();
    begin_page();
    for (const Block& b : document.blocks) block(b);
  }
  void end() {
    if (page_ > 0) end_page();
  }
  size_t pages() const { return page_; }

 private:
  Lines lines(const std::string& text, double width, double size, bool bold = false) const {
    return fonts_.lines(language_, text, width, size, bold);
  }
  void ink(Colour c) {
    if (cr_) d_.cairo_set_source_rgb(cr_, c.r, c.g, c.b);
  }
  void fill(double x, double y, double w, double h, Colour c) {
    if (!cr_) return;
    ink(c);
    d_.cairo_rectangle(cr_, x, y, w, h);
    d_.cairo_fill(cr_);
  }
  void frame(double x, double y, double w, double h, double line, Colour c) {
    if (!cr_) return;
    ink(c);
    d_.cairo_set_line_width(cr_, line);
    d_.cairo_rectangle(cr_, x, y, w, h);
    d_.cairo_stroke(cr_);
  }
  void rule(double x0, double y0, double x1, double y1, double line, Colour c) {
    if (!cr_) return;
    ink(c);
    d_.cairo_set_line_width(cr_, line);
    d_.cairo_move_to(cr_, x0, y0);
    d_.cairo_line_to(cr_, x1, y1);
    d_.cairo_stroke(cr_);
  }
  void tag(const char* name) {
    if (cr_) d_.cairo_tag_begin(cr_, name, "");
  }
  void untag(const char* name) {
    if (cr_) d_.cairo_tag_end(cr_, name);
  }

  void begin_page() {
    ++page_;
    y_ = kTop;
    Lines head = lines(running_, kRight - kLeft, kSmall);
    ink(kGrey);
    head.draw(cr_, kLeft, 34, 0, 1);
    rule(kLeft, 47, kRight, 47, 0.5, kHair);
  }
  void end_page() {
    Caption c = caption();
    rule(kLeft, kBottom + 8, kRight, kBottom + 8, 0.5, kHair);
    ink(kGrey);
    double y = kBottom + 12;
    for (const auto& [text, language] :
         {std::pair(c.ja, ReportLanguage::ja), std::pair(c.en, ReportLanguage::en)}) {
      Lines l = fonts_.lines(language, text, kRight - kLeft, kSmall, false);
      l.draw(cr_, kLeft, y, 0, l.count());
      y += l.height();
    }
    Lines number = lines(std::to_string(page_) + " / " + std::to_string(pages_), 60, kSmall);
    number.draw(cr_, kRight - number.text_width(), 34, 0, 1);
    if (cr_) d_.cairo_show_page(cr_);
  }
  void next_page() {
    end_page();
    begin_page();
  }
  double left() const { return kBottom - y_; }
  void need(double height) {
    if (height > left() && y_ > kTop) next_page();
  }

  void block(const Block& b) {
    using Kind = Block::Kind;
    switch (b.kind) {
      case Kind::title:
        return title(b);
      case Kind::banner:
        return boxed(b, kBlue, kShade, 0.8);
      case Kind::alert:
        return boxed(b, kRed, kPink, 2.2);
      case Kind::heading:
        return heading(b.text);
      case Kind::text:
      case Kind::bullets:
        return paragraphs(b);
      case Kind::facts:
      case Kind::table:
        return table(b);
      case Kind::figure:
        return figure(b.figure);
      case Kind::page:
        if (y_ > kTop) next_page();
    }
  }

  void title(const Block& b) {
    tag("H1");
    Lines l = lines(b.text, kRight - kLeft, 20, true);
    ink(kBlue);
    l.draw(cr_, kLeft, y_, 0, l.count());
    untag("H1");
    if (cr_)
      d_.cairo_pdf_surface_add_outline(surface_, CAIRO_PDF_OUTLINE_ROOT, b.text.c_str(), here().c_str(),
                                       CAIRO_PDF_OUTLINE_FLAG_OPEN);
    y_ += l.height() + 2;
    for (const Row& row : b.rows) {
      const Cell& cell = row.cells.front();
      Lines line =
          lines(cell.text, kRight - kLeft, cell.tone == Tone::muted ? kTable : 11, is_bold(cell.tone));
      flow(line, kLeft, colour_of(cell.tone));
    }
    y_ += 8;
  }
  std::string here() const {
    return "page=" + std::to_string(page_) + " pos=[" + std::to_string(static_cast<int>(kLeft)) + " " +
           std::to_string(static_cast<int>(y_)) + "]";
  }

  // Line by line, over as many pages as it takes.
  void flow(const Lines& l, double x, Colour c) {
    tag("P");
    for (size_t at = 0; at < l.count();) {
      auto fit = static_cast<size_t>(std::max(0.0, std::floor(left() / l.line_height())));
      if (fit == 0) {
        untag("P");
        next_page();
        tag("P");
        continue;
      }
      size_t n = std::min(fit, l.count() - at);
      ink(c);
      l.draw(cr_, x, y_, at, n);
      y_ += static_cast<double>(n) * l.line_height();
      at += n;
    }
    untag("P");
  }

  void boxed(const Block& b, Colour edge, Colour inside, double line) {
    double x = kLeft + 10, width = kRight - kLeft - 20;
    std::vector<Lines> all;
    all.push_back(lines(b.text, width, 12, true));
    for (const Row& row : b.rows) all.push_back(lines(row.cells.front().text, width, 8.6));
    double height = 12;
    for (const Lines& l : all) height += l.height() + 1;
    need(height);
    fill(kLeft, y_, kRight - kLeft, height, inside);
    frame(kLeft + line / 2, y_ + line / 2, kRight - kLeft - line, height - line, line, edge);
    double end = y_ + height;
    y_ += 5;
    for (size_t i = 0; i < all.size(); ++i) {
      flow(all[i], x, i == 0 ? edge : kInk);
      y_ += 1;
    }
    y_ = end + 8;
  }

  void heading(const std::string& text) {
    y_ += y_ > kTop ? 7 : 0;
    need(64);
    tag("H2");
    Lines l = lines(text, kRight - kLeft, 11.5, true);
    ink(kBlue);
    l.draw(cr_, kLeft, y_, 0, l.count());
    untag("H2");
    y_ += l.height() + 1;
    rule(kLeft, y_, kRight, y_, 0.8, kBlue);
    y_ += 4;
  }

  void paragraphs(const Block& b) {
    bool bullets = b.kind == Block::Kind::bullets;
    for (const Row& row : b.rows) {
      const Cell& cell = row.cells.front();
      double indent = bullets ? 11 : 0;
      Lines l = lines(cell.text, kRight - kLeft - indent,
                      cell.tone == Tone::muted && !bullets ? kTable : kBody, is_bold(cell.tone));
      need(std::min(l.height(), 3 * l.line_height()));
      if (bullets && cr_) {
        ink(kBlue);
        d_.cairo_rectangle(cr_, kLeft + 2, y_ + 5, 3, 3);
        d_.cairo_fill(cr_);
      }
      flow(l, kLeft + indent, colour_of(cell.tone));
      y_ += 2;
    }
    y_ += 4;
  }

  struct Column {
    double x, width;
  };
  // Cells beside each other, and the detail below: whole on one page where a page can hold it.
  void row(const std::vector<Column>& columns, const Row& r, bool facts) {
    std::vector<Lines> cells;
    std::vector<Colour> inks;
    double size = facts ? kBody : kTable, height = 0;
    size_t most = 0;
    for (size_t i = 0; i < r.cells.size() && i < columns.size(); ++i) {
      bool label = facts && i == 0;
      cells.push_back(lines(r.cells[i].text, columns[i].width - 2 * kPad, size, is_bold(r.cells[i].tone)));
      inks.push_back(label ? kGrey : colour_of(r.cells[i].tone));
      most = std::max(most, cells.back().count());
    }
    height = static_cast<double>(most) * size * 1.46;
    Lines detail = lines(r.detail, kRight - kLeft - 2 * kPad, kSmall);
    double whole = height + detail.height() + 2 * kPad - 1;
    if (whole <= kKept) need(whole);
    y_ += kPad - 1;
    for (size_t at = 0; at < most;) {
      auto fit = static_cast<size_t>(std::max(0.0, std::floor((left() + 0.01) / (size * 1.46))));
      if (fit == 0) {
        next_page();
        continue;
      }
      size_t n = std::min(fit, most - at);
      for (size_t i = 0; i < cells.size(); ++i) {
        if (at >= cells[i].count()) continue;
        tag("P");
        ink(inks[i]);
        cells[i].draw(cr_, columns[i].x + kPad, y_, at, n);
        untag("P");
      }
      y_ += static_cast<double>(n) * size * 1.46;
      at += n;
    }
    if (detail.count()) flow(detail, kLeft + kPad, kGrey);
    y_ += kPad;
    rule(kLeft, y_, kRight, y_, 0.4, kHair);
  }

  void header(const std::vector<Column>& columns, const Block& b) {
    std::vector<Lines> cells;
    double height = 0;
    for (size_t i = 0; i < b.header.size(); ++i) {
      cells.push_back(lines(b.header[i], columns[i].width - 2 * kPad, kTable, true));
      height = std::max(height, cells.back().height());
    }
    fill(kLeft, y_, kRight - kLeft, height + 2 * kPad - 1, kShade);
    ink(kBlue);
    for (size_t i = 0; i < cells.size(); ++i)
      cells[i].draw(cr_, columns[i].x + kPad, y_ + kPad - 1, 0, cells[i].count());
    y_ += height + 2 * kPad - 1;
  }

  void table(const Block& b) {
    bool facts = b.kind == Block::Kind::facts;
    std::vector<double> widths = facts ? std::vector<double>{0.26, 0.74} : b.widths;
    std::vector<Column> columns;
    double x = kLeft;
    for (double w : widths) {
      columns.push_back({x, w * (kRight - kLeft)});
      x += columns.back().width;
    }
    if (!facts) {
      need(70);
      header(columns, b);
    }
    size_t page = page_;
    for (const Row& r : b.rows) {
      // What its cells need is known by laying them out: a page that begins inside the table begins with its
      // header.
      if (double h = facts ? 0 : row_height(columns, r); left() < h && h <= kKept) next_page();
      if (!facts && page != page_) header(columns, b);
      page = page_;
      row(columns, r, facts);
    }
    y_ += 6;
  }
  double row_height(const std::vector<Column>& columns, const Row& r) const {
    double height = 0;
    for (size_t i = 0; i < r.cells.size() && i < columns.size(); ++i)
      height = std::max(
          height,
          lines(r.cells[i].text, columns[i].width - 2 * kPad, kTable, is_bold(r.cells[i].tone)).height());
    return height + lines(r.detail, kRight - kLeft - 2 * kPad, kSmall).height() + 2 * kPad;
  }

  void mark(double x, double y, Event event) {
    if (!cr_) return;
    constexpr double r = 3.1;
    d_.cairo_new_path(cr_);  // text leaves a point behind
    auto polygon = [&](std::initializer_list<std::pair<double, double>> points) {
      bool first = true;
      for (auto [px, py] : points) {
        if (first)
          d_.cairo_move_to(cr_, x + px * r, y + py * r);
        else
          d_.cairo_line_to(cr_, x + px * r, y + py * r);
        first = false;
      }
      d_.cairo_close_path(cr_);
    };
    auto cross = [&](Colour c) {
      rule(x - r, y - r, x + r, y + r, 1.6, c);
      rule(x - r, y + r, x + r, y - r, 1.6, c);
    };
    switch (event) {
      case Event::destroyed:
        return cross(kRed);
      case Event::intended:
        ink(kRed), polygon({{-1, -1}, {1, -1}, {0, 1}}), d_.cairo_fill(cr_);
        return;
      case Event::failed:
      case Event::compromised:
        ink(kRed), polygon({{-1, 1}, {1, 1}, {0, -1}}), d_.cairo_fill(cr_);
        return;
      case Event::rotated:
      case Event::suspended:
        ink(kBlue), polygon({{-1, -1}, {1, -1}, {1, 1}, {-1, 1}}), d_.cairo_fill(cr_);
        return;
      case Event::rewrapped:
        ink(kGreen), polygon({{-1, -1}, {1, 0}, {-1, 1}}), d_.cairo_fill(cr_);
        return;
      default:
        ink(event == Event::inspected ? kGreen : kBlue);
        d_.cairo_arc(cr_, x, y, r, 0, 6.283185307179586);
        d_.cairo_fill(cr_);
    }
  }

  void figure(const Figure& f) {
    constexpr double kLane = 19, kLabel = 108;
    double x0 = kLeft + kLabel + 12, x1 = kRight - 26;
    Lines note = lines(f.note, kRight - kLeft, kSmall);
    need(static_cast<double>(f.lanes.size()) * kLane + 70 + note.height());
    auto at = [&](double x) { return x0 + x * (x1 - x0); };
    double top = y_ + 4, bottom = top + static_cast<double>(f.lanes.size()) * kLane;
    for (const Figure::Tick& t : f.ticks) rule(at(t.x), top, at(t.x), bottom + 4, 0.5, kHair);
    for (size_t i = 0; i < f.lanes.size(); ++i) {
      const Figure::Lane& lane = f.lanes[i];
      double y = top + (static_cast<double>(i) + 0.5) * kLane;
      Lines label = lines(lane.label, kLabel, kTable - 0.6, i == 0);
      ink(kInk);
      size_t n = std::min<size_t>(label.count(), 1);
      label.draw(cr_, kLeft, y - label.line_height() / 2, 0, n);
      rule(x0, y, x1, y, 0.4, kHair);
      for (const Figure::Bar& bar : lane.bars)
        fill(at(bar.from), y - 2.2, std::max(0.6, at(bar.to) - at(bar.from)), 4.4,
             bar.used ? Colour{0.55, 0.68, 0.86} : Colour{0.83, 0.86, 0.90});
      for (const Figure::Mark& m : lane.marks) mark(at(m.x), y, m.event);
    }
    rule(x0, bottom + 2, x1, bottom + 2, 0.8, kGrey);
    for (const Figure::Tick& t : f.ticks) {
      double y = bottom + 5;
      for (const std::string& text : {t.day, t.time}) {
        Lines l = lines(text, 80, kSmall);
        ink(kGrey);
        l.draw(cr_, at(t.x) - l.text_width() / 2, y, 0, 1);
        y += l.line_height();
      }
    }
    y_ = bottom + 30;
    legend(f);
    flow(note, kLeft, kGrey);
    y_ += 6;
  }
  void legend(const Figure& f) {
    double x = kLeft + 4;
    for (const auto& [event, text] : f.legend) {
      Lines l = lines(text, 200, kSmall);
      if (x + l.text_width() + 20 > kRight) x = kLeft + 4, y_ += l.line_height() + 2;
      mark(x, y_ + l.line_height() / 2, event);
      ink(kInk);
      l.draw(cr_, x + 8, y_, 0, 1);
      x += l.text_width() + 24;
    }
    y_ += kSmall * 1.46 + 4;
  }

  const Fonts& fonts_;
  const Drawing& d_;
  cairo_surface_t* surface_;
  cairo_t* cr_;
  std::string running_;
  size_t pages_ = 0, page_ = 0;
  ReportLanguage language_ = ReportLanguage::ja;
  double y_ = kTop;
};

struct Surface {
  const Drawing& d = drawing();
  Output out;
  cairo_surface_t* surface;
  cairo_t* cr = nullptr;
  Surface() : surface(d.cairo_pdf_surface_create_for_stream(take, &out, kWide, kHigh)) {}
  Surface(const Surface&) = delete;
  Surface& operator=(const Surface&) = delete;
  ~Surface() {
    if (cr) d.cairo_destroy(cr);
    d.cairo_surface_destroy(surface);
  }
};

}  // namespace
}  // namespace report

Bytes certificate_pdf(const BundleFiles& files, const ReportLanguages& languages) {
  using namespace report;
  Model model = make_model(files);
  std::vector<Document> documents;
  for (ReportLanguage language : languages) documents.push_back(compose(model, language));
  const Drawing& d = drawing();
  keep_large_blocks();
  Fonts fonts;
  std::string organisation = shown(model.certificate.str("organisation"));
  std::string running = model.certificate.str("id") + "   " + organisation;
  auto draw = [&](cairo_surface_t* surface, cairo_t* cr, size_t pages) {
    Paginator p(fonts, surface, cr, running, pages);
    for (const Document& document : documents) p.run(document);
    p.end();
    return p.pages();
  };
  size_t pages = draw(nullptr, nullptr, 0);
  Fonts::let_go();
  Surface s;
  auto say = [&](cairo_pdf_metadata_t what, const std::string& text) {
    d.cairo_pdf_surface_set_metadata(s.surface, what, text.c_str());
  };
  say(CAIRO_PDF_METADATA_TITLE,
      (documents.empty() ? "" : documents.front().title) + " " + model.certificate.str("id"));
  say(CAIRO_PDF_METADATA_AUTHOR, organisation);
  say(CAIRO_PDF_METADATA_SUBJECT, caption().en);
  say(CAIRO_PDF_METADATA_CREATOR, shown(model.certificate.str("program")));
  // Without a date of its own choosing the library would ask the clock.
  say(CAIRO_PDF_METADATA_CREATE_DATE, model.certificate.str("issued").substr(0, 19) + "Z");
  s.cr = d.cairo_create(s.surface);
  draw(s.surface, s.cr, pages);
  Fonts::let_go();
  d.cairo_surface_finish(s.surface);
  Fonts::let_go();
  for (cairo_status_t status : {d.cairo_status(s.cr), d.cairo_surface_status(s.surface)})
    if (status != CAIRO_STATUS_SUCCESS)
      throw Error(Code::failed, "a page cannot be drawn").cause(d.cairo_status_to_string(status));
  return std::move(s.out.bytes);
}

}  // namespace kesu
