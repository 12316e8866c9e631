// The blocks as one HTML file: no script, nothing from elsewhere, every text escaped.
#include <cstdio>

#include "report/blocks.h"

namespace kesu {

namespace report {
namespace {

constexpr std::string_view kStyle =
    ":root{color-scheme:light}*{box-sizing:border-box}body{margin:0 auto;max-width:60rem;padding:1.5rem "
    "1.5rem "
    "6rem;font:15px/1.65 \"Noto Sans CJK JP\",\"Noto Sans JP\",\"Hiragino Sans\",\"Yu "
    "Gothic\",Meiryo,sans-serif;"
    "color:#1a1f26;background:#fff;overflow-wrap:anywhere}h1{font-size:1.9rem;line-height:1.3;margin:1rem 0 "
    ".2rem;color:#173d73}h2{font-size:1.15rem;margin:1.8rem 0 .6rem;padding-bottom:.2rem;border-bottom:2px "
    "solid "
    "#173d73;color:#173d73}p{margin:.3rem 0}.muted{color:#5f6873;font-size:.85em}.bold{font-weight:700}.good{"
    "color:#005c3d;font-weight:700}.warn{color:#b81212;font-weight:700}.banner,.alert{border:1px solid "
    "#173d73;"
    "background:#f0f2f7;padding:.6rem 1rem;margin:1rem 0}.alert{border:3px solid #b81212;background:#ffeeec}"
    ".banner p:first-child,.alert p:first-child{font-size:1.2rem;font-weight:700;color:#173d73}.alert "
    "p:first-child{color:#b81212}table{border-collapse:collapse;width:100%;table-layout:fixed;font-size:.9em}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .5rem}thead th{background:#f0f2f7;color:#173d73}"
    "tbody tr:last-child>*{border-bottom:1px solid #d0d5dc}tbody "
    "th{font-weight:400;color:#5f6873;width:26%}td."
    "detail{color:#5f6873;font-size:.85em;padding-top:0}svg{width:100%;height:auto}footer{position:fixed;"
    "bottom:0;"
    "left:0;right:0;padding:.4rem 1.5rem;background:#fff;border-top:1px solid #d0d5dc;font-size:.75rem;color:"
    "#5f6873}section+section{border-top:4px solid #173d73;margin-top:3rem}@page{size:A4;margin:16mm 16mm "
    "24mm}"
    "@media print{body{padding:0 0 "
    "3rem;font-size:10pt;max-width:none}.page,section+section{break-before:page;"
    "border:0;margin:0}h2{break-after:avoid}tbody,.alert,.banner,figure{break-inside:avoid}footer{padding:."
    "2rem 0}}";

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\n':
        out += "<br>";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* class_of(Tone tone) {
  switch (tone) {
    case Tone::bold:
      return " class=\"bold\"";
    case Tone::muted:
      return " class=\"muted\"";
    case Tone::good:
      return " class=\"good\"";
    case Tone::warn:
      return " class=\"warn\"";
    case Tone::plain:
      break;
  }
  return "";
}

std::string element(const char* name, const Cell& cell) {
  return std::string("<") + name + class_of(cell.tone) + ">" + escaped(cell.text) + "</" + name + ">";
}

// One decimal, whatever the locale.
std::string number(double v) {
  auto tenths = static_cast<long>(v * 10 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

std::string mark(double x, double y, Event event) {
  auto shape = [&](const char* path, const char* paint) {
    return "<path transform=\"translate(" + number(x) + "," + number(y) + ")\" d=\"" + path + "\" " + paint +
           "/>";
  };
  switch (event) {
    case Event::destroyed:
      return shape("M-5,-5L5,5M-5,5L5,-5", "stroke=\"#b81212\" stroke-width=\"2.6\"");
    case Event::intended:
      return shape("M-5,-5L5,-5L0,5Z", "fill=\"#b81212\"");
    case Event::failed:
    case Event::compromised:
      return shape("M-5,5L5,5L0,-5Z", "fill=\"#b81212\"");
    case Event::rotated:
    case Event::suspended:
      return shape("M-5,-5H5V5H-5Z", "fill=\"#173d73\"");
    case Event::rewrapped:
      return shape("M-5,-5L5,0L-5,5Z", "fill=\"#005c3d\"");
    default:
      return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"5\" fill=\"" +
             (event == Event::inspected ? "#005c3d" : "#173d73") + "\"/>";
  }
}

std::string figure(const Figure& f) {
  constexpr double kLane = 28, kX0 = 190, kX1 = 850;
  auto at = [&](double x) { return kX0 + x * (kX1 - kX0); };
  double bottom = static_cast<double>(f.lanes.size()) * kLane + 6;
  std::string out =
      "<figure><svg viewBox=\"0 0 900 " + number(bottom + 44) + "\" role=\"img\" font-size=\"12\">";
  auto text = [&](double x, double y, const char* anchor, const char* paint, const std::string& what) {
    out += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" fill=\"" +
           paint + "\">" + escaped(what) + "</text>";
  };
  auto line = [&](double x0, double y0, double x1, double y1, const char* paint) {
    out += "<path d=\"M" + number(x0) + "," + number(y0) + "L" + number(x1) + "," + number(y1) +
           "\" stroke=\"" + paint + "\"/>";
  };
  for (const Figure::Tick& t : f.ticks) line(at(t.x), 4, at(t.x), bottom + 4, "#d0d5dc");
  for (size_t i = 0; i < f.lanes.size(); ++i) {
    double y = 4 + (static_cast<double>(i) + 0.5) * kLane;
    // Long names are cut: the table has them whole.
    std::string label = f.lanes[i].label;
    if (label.size() > 36) {
      label.resize(33);
      while (!is_utf8(label)) label.pop_back();
      label += "…";
    }
    text(0, y + 4, "start", "#1a1f26", label);
    line(kX0, y, kX1, y, "#d0d5dc");
    for (const Figure::Bar& bar : f.lanes[i].bars)
      out += "<rect x=\"" + number(at(bar.from)) + "\" y=\"" + number(y - 3.5) + "\" width=\"" +
             number(std::max(1.0, at(bar.to) - at(bar.from))) + "\" height=\"7\" fill=\"" +
             (bar.used ? "#8cadda" : "#d4dbe6") + "\"/>";
    for (const Figure::Mark& m : f.lanes[i].marks) out += mark(at(m.x), y, m.event);
  }
  line(kX0, bottom + 2, kX1, bottom + 2, "#5f6873");
  for (const Figure::Tick& t : f.ticks) {
    text(at(t.x), bottom + 18, "middle", "#5f6873", t.day);
    text(at(t.x), bottom + 33, "middle", "#5f6873", t.time);
  }
  out += "</svg><p class=\"muted\">";
  for (const auto& [event, what] : f.legend)
    out += "<svg viewBox=\"-7 -7 14 14\" style=\"width:.9em;vertical-align:-.1em\">" + mark(0, 0, event) +
           "</svg> " + escaped(what) + "&#x3000;";
  return out + "</p><p class=\"muted\">" + escaped(f.note) + "</p></figure>\n";
}

std::string table(const Block& b) {
  std::string out = "<table>";
  size_t columns = b.header.size();
  if (columns) {
    out += "<colgroup>";
    for (double w : b.widths) out += "<col style=\"width:" + number(w * 100) + "%\">";
    out += "</colgroup><thead><tr>";
    for (const std::string& h : b.header) out += "<th scope=\"col\">" + escaped(h) + "</th>";
    out += "</tr></thead>";
  }
  for (const Row& r : b.rows) {
    out += "<tbody><tr>";
    for (size_t i = 0; i < r.cells.size(); ++i)
      out += !columns && i == 0 ? "<th scope=\"row\">" + escaped(r.cells[i].text) + "</th>"
                                : element("td", r.cells[i]);
    out += "</tr>";
    if (!r.detail.empty())
      out += "<tr><td class=\"detail\" colspan=\"" + std::to_string(r.cells.size()) + "\">" +
             escaped(r.detail) + "</td></tr>";
    out += "</tbody>";
  }
  return out + "</table>\n";
}

std::string html(const Block& b) {
  using Kind = Block::Kind;
  std::string out, rows;
  for (const Row& r : b.rows)
    if (!r.cells.empty()) rows += element(b.kind == Kind::bullets ? "li" : "p", r.cells.front());
  switch (b.kind) {
    case Kind::title:
      return "<h1>" + escaped(b.text) + "</h1>" + rows + "\n";
    case Kind::banner:
      return "<div class=\"banner\"><p>" + escaped(b.text) + "</p>" + rows + "</div>\n";
    case Kind::alert:
      return "<div class=\"alert\"><p>" + escaped(b.text) + "</p>" + rows + "</div>\n";
    case Kind::heading:
      return "<h2>" + escaped(b.text) + "</h2>\n";
    case Kind::text:
      return rows + "\n";
    case Kind::bullets:
      return "<ul>" + rows + "</ul>\n";
    case Kind::facts:
    case Kind::table:
      return table(b);
    case Kind::figure:
      return figure(b.figure);
    case Kind::page:
      break;
  }
  return "<div class=\"page\"></div>\n";
}

}  // namespace

Bytes html_page(const std::vector<Document>& documents, const std::string& id, const Caption& foot) {
  std::string body;
  for (const Document& document : documents) {
    body +=
        std::string("<section lang=\"") + (document.language == ReportLanguage::ja ? "ja" : "en") + "\">\n";
    for (const Block& b : document.blocks) body += html(b);
    body += "</section>\n";
  }
  const bool ja = documents.empty() || documents.front().language == ReportLanguage::ja;
  const std::string title = documents.empty() ? "" : documents.front().title;
  std::string out = std::string("<!DOCTYPE html>\n<html lang=\"") + (ja ? "ja" : "en") +
                    "\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" "
                    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" "
                    "content=\"width=device-width, initial-scale=1\">\n<title>" +
                    escaped(title + " " + id) + "</title>\n<style>" + std::string(kStyle) +
                    "</style>\n</head>\n<body>\n" + body + "<footer lang=\"ja\">" + escaped(foot.ja) +
                    "<br><span lang=\"en\">" + escaped(foot.en) + "</span></footer>\n</body>\n</html>\n";
  return to_bytes(as_bytes(out));
}

}  // namespace report

Bytes certificate_html(const BundleFiles& files, const ReportLanguages& languages) {
  const report::Model model = report::make_model(files);
  std::vector<report::Document> documents;
  for (ReportLanguage language : languages) documents.push_back(report::compose(model, language));
  return report::html_page(documents, model.certificate.str("id"), report::caption());
}

}  // namespace kesu
