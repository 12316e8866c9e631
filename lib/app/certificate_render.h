// Use cases: a certificate as pages for people, in its bundle and beside it. Renderings are never evidence.
#pragma once
#include <future>
#include <string>
#include <vector>

#include "app/vault.h"
#include "certificate/bundle.h"
#include "report/report.h"

namespace kesu {

// Draws the renderings of a draft that has certificate.json and its ledger part, beside what the caller does
// meanwhile: neither signature nor time-stamps stand in them. Where Pango or the fonts are not installed,
// certificate.pdf is left out.
std::future<BundleFiles> begin_renderings(const BundleFiles& draft);
// Keeps the manifest and the drawn pages of a bundle as evidence blobs. Returns {path: SHA-256 of the blob}
// of the pages, for the entry `certificate-issued`.
Json keep_renderings(Vault& vault, const BundleFiles& files);
// The same bytes again, as they were when the certificate was issued: fonts may have changed since. `issued`:
// the body of that entry.
void restore_renderings(Vault& vault, const Json& issued, BundleFiles& files);

// "ja", "en"; none: both. Throws usage.
ReportLanguages report_languages(const std::vector<std::string>& names);
// certificate.pdf and certificate.html in `directory`, which is made; what is there under these names is not
// replaced (already_exists). Returns the two paths. Of a bundle, directory or zip file: bundle_invalid when a
// verifier would call it forged, altered or inconsistent.
std::vector<std::string> render_bundle(const std::string& bundle, const std::string& directory,
                                       const ReportLanguages& languages);
// Of a certificate of this vault.
std::vector<std::string> render_certificate(Vault& vault, const CertificateRecord& certificate,
                                            const std::string& directory, const ReportLanguages& languages);

}  // namespace kesu
