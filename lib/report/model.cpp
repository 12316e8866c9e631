#include "report/model.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "crypto/hash.h"
#include "ledger/entry.h"

namespace kesu::report {

namespace {

constexpr size_t kMaxLine = size_t{1} << 20;  // of ledger/headers.gz; far more than a header may have

const Bytes* file_of(const BundleFiles& files, std::string_view path) {
  auto it = files.find(std::string(path));
  return it == files.end() ? nullptr : &it->second;
}

std::map<uint64_t, Json> bodies_of(const BundleFiles& files) {
  std::map<uint64_t, Json> out;
  const Bytes* file = file_of(files, bundle::kBodies);
  if (!file) return out;
  std::string_view text = as_text(*file);
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    Json row = parse_json(text.substr(0, end), "opened body");
    out.emplace(static_cast<uint64_t>(row.num("seq")), row.at("body"));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::optional<Event> event_of(const Header& h, const NodeMention& node) {
  if (h.type == "key-created") return Event::created;
  if (h.type == "destroy-intended") return Event::intended;
  if (h.type == "destroy-failed") return Event::failed;
  if (h.type == "destroy-done") return Event::destroyed;
  if (h.type != "key-state-changed") return std::nullopt;
  if (node.is == "active") return Event::activated;
  if (node.is == "deactivated") return Event::rotated;
  if (node.is == "suspended") return Event::suspended;
  return Event::compromised;
}

std::optional<Event> erasure_event(const std::string& type) {
  if (type == "erasure-requested") return Event::requested;
  if (type == "erasure-approved") return Event::approved;
  if (type == "erasure-started") return Event::started;
  if (type == "erasure-inspected") return Event::inspected;
  return std::nullopt;
}

struct Lines {
  std::map<std::string, Line*> by_node;
  std::string erasure;
  const std::map<uint64_t, Json>& bodies;

  void add(const std::string& node, Millis at, Event event) {
    if (auto it = by_node.find(node); it != by_node.end()) it->second->moments.push_back({at, event});
  }
  void fold(const Header& h) {
    for (const NodeMention& node : h.nodes) {
      if (node.id == erasure) {
        if (auto e = erasure_event(h.type)) add(erasure, h.time, *e);
      } else if (auto e = event_of(h, node)) {
        add(node.id, h.time, *e);
      }
    }
    if (h.type != "rewrap-done" && h.type != "dataset-key-rewrapped") return;
    if (auto body = bodies.find(h.seq); body != bodies.end())
      add(body->second.str_or("version", ""), h.time, Event::rewrapped);
  }
};

// The lines of a compressed file, of which never more than a piece is held.
template <class F>
void each_line(const Bytes& packed, F visit) {
  std::string begun;
  gunzip_each(packed, [&](std::string_view piece) {
    for (size_t end; (end = piece.find('\n')) != piece.npos; piece.remove_prefix(end + 1)) {
      begun += piece.substr(0, end);
      visit(std::string_view(begun));
      begun.clear();
    }
    begun += piece;
    if (begun.size() > kMaxLine) throw Error(Code::bad_input, "ledger/headers.gz has a line without end");
  });
  if (!begun.empty()) visit(std::string_view(begun));
}

// Only what stood in the ledger when the certificate was made, so that a rendering made later is the same.
void read_ledger(const BundleFiles& files, Model& model) {
  const Bytes* packed = file_of(files, bundle::kHeaders);
  if (!packed) return;
  std::map<uint64_t, Json> bodies = bodies_of(files);
  Lines lines{{}, model.certificate.str("erasure"), bodies};
  lines.by_node[lines.erasure] = &model.lines.front();
  for (Line& line : model.lines)
    if (!line.version.empty()) lines.by_node[line.version] = &line;
  const auto size = static_cast<uint64_t>(model.certificate.at("ledger").num("size"));
  bool past = false;
  each_line(*packed, [&](std::string_view row) {
    // Most entries are about single objects and processes: only those that may concern a line are parsed.
    if (past || (row.find("\"key-") == row.npos && row.find("\"erasure-") == row.npos &&
                 row.find("\"destroy-") == row.npos && row.find("\"rewrap-done\"") == row.npos &&
                 row.find("\"dataset-key-rewrapped\"") == row.npos))
      return;
    Header h = Header::parse(row.substr(0, row.find('\t')));
    past = h.seq >= size;
    if (past) return;
    lines.fold(h);
    if (h.type != "erasure-requested" || h.nodes.front().id != lines.erasure) return;
    if (auto body = bodies.find(h.seq); body != bodies.end())
      model.reason = body->second.str_or("reason", "");
  });
  model.has_ledger = true;
}

}  // namespace

Model make_model(const BundleFiles& files) {
  const Bytes* document = file_of(files, bundle::kCertificate);
  if (!document) throw Error(Code::not_found, "there is no certificate.json to render");
  Model model;
  model.certificate = parse_canonical_json(as_text(*document), "certificate.json");
  if (model.certificate.str("type") != "kesu-certificate-v1")
    throw Error(Code::bad_input, "certificate.json is not a certificate of version 1");
  model.sha256 = hex(sha256(*document));
  model.sha512 = hex(hash(HashAlg::sha512, *document));
  model.lines.push_back({});
  for (const Json& key : model.certificate.at("keys").as_array()) {
    std::string version = key.str("version"),
                number = version.substr(std::min(version.rfind('.'), version.size()));
    model.lines.push_back({version, key.str("name") + number, {}});
  }
  read_ledger(files, model);
  return model;
}

}  // namespace kesu::report
