// A4 pages in PDF: text that flows, and what is drawn beside it. For lib/report itself.
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "report/blocks.h"
#include "report/drawing_impl.h"

namespace kesu::report {

// Points. Pages end at kBottom; the caption stands below.
constexpr double kWide = 595.28, kHigh = 841.89, kLeft = 54, kRight = kWide - 54, kTop = 62, kBottom = 770;

struct Colour {
  double r = 0, g = 0, b = 0;
};
constexpr Colour kInk{0.10, 0.12, 0.15}, kGrey{0.38, 0.41, 0.45}, kRed{0.72, 0.07, 0.07},
    kGreen{0.0, 0.36, 0.24}, kBlue{0.09, 0.24, 0.45}, kHair{0.78, 0.80, 0.83}, kShade{0.94, 0.95, 0.97},
    kPink{1.0, 0.93, 0.92};

// A text broken into lines. Copies share the layout.
class Lines {
 public:
  Lines(PangoContext* context, const std::string& text, double width, double size, bool bold);
  Lines(const Lines& o);
  Lines(Lines&& o) noexcept : layout_(std::exchange(o.layout_, nullptr)), count_(o.count_), size_(o.size_) {}
  Lines& operator=(const Lines&) = delete;
  Lines& operator=(Lines&&) = delete;
  ~Lines();
  size_t count() const { return count_; }
  double line_height() const { return size_ * 1.46; }
  double height() const { return static_cast<double>(count_) * line_height(); }
  double text_width() const;
  // Lines [first, first + n), the first with its top at y. Nothing without `cr`.
  void draw(cairo_t* cr, double x, double y, size_t first, size_t n) const;

 private:
  PangoLayout* layout_;
  size_t count_;
  double size_;
};

// Fonts of one document; nothing of the machine's configuration but two font files has any influence.
class Fonts {
 public:
  Fonts();
  Fonts(const Fonts&) = delete;
  Fonts& operator=(const Fonts&) = delete;
  ~Fonts();
  // What was read of the font files is no longer counted against this process; it comes back when needed.
  // Tens of megabytes after a document was laid out, and again for each font that is embedded.
  static void let_go();
  // A document is gone through twice and says much more than once: each text is broken into lines once.
  Lines lines(ReportLanguage language, const std::string& text, double width, double size, bool bold) const;

 private:
  FcConfig* config_ = nullptr;
  PangoFontMap* map_ = nullptr;
  PangoContext *ja_ = nullptr, *en_ = nullptr;
  mutable std::map<std::tuple<ReportLanguage, double, double, bool, std::string>, Lines> lines_;
};

}  // namespace kesu::report
