#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "report/page_impl.h"

namespace kesu::report {

namespace {
constexpr const char* kFamily = "Noto Sans CJK JP";
constexpr const char* kFontDirectory = "/usr/share/fonts/opentype/noto";
constexpr const char* kFontFiles[] = {"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
                                      "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"};
// Those two and no others. What is in them comes from the machine's cache: reading it anew in each of their
// twenty faces takes longer than drawing the document.
constexpr const char* kConfig = R"(<fontconfig><cachedir>/var/cache/fontconfig</cachedir><selectfont>
<acceptfont><glob>*/NotoSansCJK-Regular.ttc</glob><glob>*/NotoSansCJK-Bold.ttc</glob></acceptfont>
<rejectfont><glob>*</glob></rejectfont></selectfont></fontconfig>)";
// The same letters and kana under another name of the same font files. Cairo 1.16 keeps every subroutine of a
// font of which it embeds ideographs and letters together: a document of 2 MB instead of one of 0.4 MB.
constexpr const char* kLetters = "Noto Sans CJK KR";

bool is_letter(std::string_view text, size_t& bytes) {
  auto c = static_cast<unsigned char>(text[0]);
  bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  // Below U+0800 is nothing ideographic; U+3041 to U+30FF are kana.
  if (bytes < 3) return true;
  if (bytes != 3 || text.size() < 3 || c != 0xe3) return false;
  auto second = static_cast<unsigned char>(text[1]), third = static_cast<unsigned char>(text[2]);
  return second == 0x81 ? third > 0x80 : second == 0x82 || second == 0x83;
}

PangoAttrList* attributes_of(std::string_view text) {
  const Drawing& d = drawing();
  PangoAttrList* list = d.pango_attr_list_new();
  auto add = [&](PangoAttribute* attribute, size_t from, size_t to) {
    attribute->start_index = static_cast<guint>(from);
    attribute->end_index = static_cast<guint>(to);
    d.pango_attr_list_insert(list, attribute);
  };
  // Two hyphens stay two hyphens, and none comes in where a long name is broken.
  add(d.pango_attr_insert_hyphens_new(FALSE), 0, text.size());
  add(d.pango_attr_font_features_new("liga=0, clig=0, dlig=0, calt=0, ccmp=0"), 0, text.size());
  for (size_t i = 0, from = 0, n = 0; i < text.size(); i += n) {
    if (!is_letter(text.substr(i), n)) {
      if (from < i) add(d.pango_attr_family_new(kLetters), from, i);
      from = i + n;
    } else if (i + n >= text.size() && from < text.size()) {
      add(d.pango_attr_family_new(kLetters), from, text.size());
    }
  }
  return list;
}

}  // namespace

Fonts::Fonts() {
  const Drawing& d = drawing();
  for (const char* file : kFontFiles)
    if (!exists(file))
      throw Error(Code::module_absent,
                  std::string("a page cannot be drawn: the font ") + file + " is not there")
          .next("install fonts-noto-cjk");
  config_ = d.FcConfigCreate();
  const FcFontSet* found = nullptr;
  if (d.FcConfigParseAndLoadFromMemory(config_, reinterpret_cast<const FcChar8*>(kConfig), FcTrue) &&
      d.FcConfigAppFontAddDir(config_, reinterpret_cast<const FcChar8*>(kFontDirectory)))
    found = d.FcConfigGetFonts(config_, FcSetApplication);
  if (!found || !found->nfont) {
    d.FcConfigDestroy(config_);
    throw Error(Code::module_absent,
                std::string("a page cannot be drawn: no font was read in ") + kFontDirectory)
        .next("install fonts-noto-cjk again");
  }
  d.FcConfigSetCurrent(config_);  // or Pango would read the machine's, in a thread of its own
  map_ = d.pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT);
  d.pango_fc_font_map_set_config(reinterpret_cast<PangoFcFontMap*>(map_), config_);
  d.pango_cairo_font_map_set_resolution(reinterpret_cast<PangoCairoFontMap*>(map_), 72);
  cairo_font_options_t* options = d.cairo_font_options_create();
  d.cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  d.cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  for (PangoContext** context : {&ja_, &en_}) {
    *context = d.pango_font_map_create_context(map_);
    d.pango_context_set_language(*context, d.pango_language_from_string(context == &ja_ ? "ja" : "en"));
    d.pango_context_set_base_dir(*context, PANGO_DIRECTION_LTR);
    d.pango_context_set_round_glyph_positions(*context, FALSE);
    d.pango_cairo_context_set_font_options(*context, options);
  }
  d.cairo_font_options_destroy(options);
}

Fonts::~Fonts() {
  const Drawing& d = drawing();
  lines_.clear();
  d.g_object_unref(ja_);
  d.g_object_unref(en_);
  d.g_object_unref(map_);
  d.FcConfigDestroy(config_);
}

// FreeType maps the files, for reading alone.
void Fonts::let_go() {
  if (resident_memory() < kMuchMemory) return;  // what is let go is to be read again
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (std::none_of(std::begin(kFontFiles), std::end(kFontFiles),
                     [&](std::string_view file) { return line.ends_with(file); }))
      continue;
    uintptr_t from = 0, to = 0;
    std::string access;
    char dash = 0;
    std::istringstream(line) >> std::hex >> from >> dash >> to >> access;
    if (access.starts_with("r-"))
      ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);  // a hint
  }
}

Lines Fonts::lines(ReportLanguage language, const std::string& text, double width, double size,
                   bool bold) const {
  PangoContext* context = language == ReportLanguage::ja ? ja_ : en_;
  std::tuple key(language, width, size, bold, text);
  auto it = lines_.find(key);
  if (it == lines_.end()) {
    it = lines_.emplace(std::move(key), Lines(context, text, width, size, bold)).first;
    constexpr size_t kAgain = 64;  // texts
    if (lines_.size() % kAgain == 0) let_go();
  }
  return it->second;
}

Lines::Lines(PangoContext* context, const std::string& text, double width, double size, bool bold)
    : size_(size) {
  const Drawing& d = drawing();
  layout_ = d.pango_layout_new(context);
  PangoFontDescription* font = d.pango_font_description_new();
  d.pango_font_description_set_family_static(font, kFamily);
  d.pango_font_description_set_weight(font, bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
  d.pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
  d.pango_layout_set_font_description(layout_, font);
  d.pango_font_description_free(font);
  d.pango_layout_set_auto_dir(layout_, 0);
  d.pango_layout_set_width(layout_, static_cast<int>(width * PANGO_SCALE));
  d.pango_layout_set_wrap(layout_, PANGO_WRAP_WORD_CHAR);
  d.pango_layout_set_text(layout_, text.data(), static_cast<int>(text.size()));
  PangoAttrList* attributes = attributes_of(text);
  d.pango_layout_set_attributes(layout_, attributes);
  d.pango_attr_list_unref(attributes);
  count_ = text.empty() ? 0 : static_cast<size_t>(d.pango_layout_get_line_count(layout_));
}

Lines::Lines(const Lines& o) : layout_(o.layout_), count_(o.count_), size_(o.size_) {
  if (layout_) (drawing().g_object_ref)(layout_);  // GLib has a macro of that name
}

Lines::~Lines() {
  if (layout_) drawing().g_object_unref(layout_);
}

double Lines::text_width() const {
  int width = 0, height = 0;
  drawing().pango_layout_get_size(layout_, &width, &height);
  return static_cast<double>(width) / PANGO_SCALE;
}

void Lines::draw(cairo_t* cr, double x, double y, size_t first, size_t n) const {
  if (!cr) return;
  const Drawing& d = drawing();
  for (size_t i = first; i < std::min(first + n, count_); ++i) {
    d.cairo_move_to(cr, x, y + static_cast<double>(i - first) * line_height() + size_ * 1.08);
    d.pango_cairo_show_layout_line(cr, d.pango_layout_get_line_readonly(layout_, static_cast<int>(i)));
  }
}

}  // namespace kesu::report
