// The document in one language, as a sequence of blocks that PDF and HTML both draw.
#pragma once
#include <string>
#include <vector>

#include "report/model.h"
#include "report/report.h"
#include "report/timeline.h"

namespace kesu::report {

enum class Tone { plain, bold, muted, good, warn };

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};
struct Row {
  std::vector<Cell> cells;
  std::string detail = {};  // below the cells, over the whole width
};

struct Block {
  enum class Kind {
    title,    // text; rows: lines below it
    banner,   // text, and rows: what must be read first
    alert,    // text, and rows: what cannot be overlooked
    heading,  // text
    text,     // rows: paragraphs
    bullets,  // rows
    facts,    // rows of two cells: a label and what it is
    table,    // header, widths, rows
    figure,
    page  // the next block begins a page
  };
  Kind kind = Kind::text;
  std::string text = {};
  std::vector<std::string> header = {};
  std::vector<double> widths = {};  // shares of the whole width, adding up to 1
  std::vector<Row> rows = {};
  Figure figure = {};
};

struct Document {
  ReportLanguage language = ReportLanguage::ja;
  std::string title;
  std::vector<Block> blocks;
};

Document compose(const Model& model, ReportLanguage language);
// What every page carries, in both languages, whatever the document's.
struct Caption {
  std::string ja, en;
};
Caption caption();

// Documents one after the other as one HTML file, with what its foot says on every page; `id` ends the title.
Bytes html_page(const std::vector<Document>& documents, const std::string& id, const Caption& foot);

// In one language.
struct Words {
  ReportLanguage language;
  std::string operator()(const char* ja, const char* en) const {
    return language == ReportLanguage::ja ? ja : en;
  }
};
// Control characters and marks that change the direction of writing become U+FFFD: a name looks like what it
// is.
std::string shown(std::string_view text);
std::string grouped(int64_t n);       // 1,204
std::string instant(Millis t);        // both time zones, to the second
std::string short_instant(Millis t);  // Japan's, to the second
std::vector<Block> first_page(const Model& model, const Words& words);
std::vector<Block> sections(const Model& model, const Words& words);
std::vector<Block> closing(const Model& model, const Words& words);

}  // namespace kesu::report
