// Renderings of a certificate for people: PDF and HTML from one model, Japanese and English. They are never
// evidence: certificate.json is the only text with authority (docs/spec/certificate.md, "Renderings").
#pragma once
#include <vector>

#include "base/bytes.h"
#include "certificate/bundle.h"

namespace kesu {

enum class ReportLanguage { ja, en };
// One part of the document after the other.
using ReportLanguages = std::vector<ReportLanguage>;

// From certificate.json, the plan, the opened entries up to the checkpoint that the certificate cites, and
// nothing else: the same files give the same bytes, whatever the clock, the locale or the time zone. Nothing
// is verified here. Errors: not_found (no certificate.json), bad_input (not a certificate).
Bytes certificate_html(const BundleFiles& files, const ReportLanguages& languages);
// The same as A4 pages with embedded fonts. Needs Pango, Cairo and the Noto Sans CJK fonts, loaded when they
// are first needed: Error module_absent where they are not installed.
Bytes certificate_pdf(const BundleFiles& files, const ReportLanguages& languages);

}  // namespace kesu
