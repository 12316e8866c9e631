#include "app/certificate_render.h"

#include <algorithm>

#include "app/certificate.h"
#include "app/put_blobs.h"
#include "app/withdraw.h"
#include "base/error.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "certificate/verify.h"

namespace kesu {

namespace {

constexpr std::string_view kRenderings[] = {bundle::kHtml, bundle::kPdf};

Bytes rendered(std::string_view name, const BundleFiles& files, const ReportLanguages& languages) {
  return name == bundle::kPdf ? certificate_pdf(files, languages) : certificate_html(files, languages);
}

std::vector<std::string> write_renderings(const BundleFiles& files, const std::string& directory,
                                          const ReportLanguages& languages) {
  std::vector<std::string> out;
  for (std::string_view name : kRenderings) out.push_back(path_join(absolute_path(directory), name));
  if (std::all_of(out.begin(), out.end(), exists))
    throw Error(Code::already_exists, out[0] + " is there already").next("choose another -o DIR");
  // Both are made before either is written.
  std::vector<Bytes> content;
  for (std::string_view name : kRenderings) content.push_back(rendered(name, files, languages));
  // What a run that was killed had written stays; of anything else nothing is written over, or beside it.
  for (size_t i = 0; i < out.size(); ++i)
    if (exists(out[i]) && !holds(out[i], content[i]))
      throw Error(Code::already_exists, out[i] + " is there already").next("choose another -o DIR");
  make_directories(absolute_path(directory));
  for (size_t i = 0; i < out.size(); ++i)
    if (!exists(out[i])) write_output(out[i], content[i], 0644, false);
  return out;
}

}  // namespace

std::future<BundleFiles> begin_renderings(const BundleFiles& draft) {
  BundleFiles read;
  for (std::string_view part : {bundle::kCertificate, bundle::kHeaders, bundle::kBodies})
    read[std::string(part)] = draft.at(std::string(part));
  return std::async(std::launch::async, [read = std::move(read)] {
    BundleFiles out;
    for (std::string_view name : kRenderings) {
      try {
        out[std::string(name)] = rendered(name, read, report_languages({}));
      } catch (const Error& e) {
        // A certificate waits for no fonts: it can be rendered at any time.
        if (e.code() != Code::module_absent) throw;
      }
    }
    return out;
  });
}

Json keep_renderings(Vault& vault, const BundleFiles& files) {
  std::vector<std::string> names{std::string(bundle::kManifest)};
  for (std::string_view name : kRenderings)
    if (files.contains(std::string(name))) names.emplace_back(name);
  std::vector<ByteView> contents;
  for (const std::string& name : names) contents.emplace_back(files.at(name));
  const std::vector<std::string> kept = put_blobs(vault.store(), contents);
  Json out((Json::Object()));
  for (size_t i = 1; i < names.size(); ++i) out.set(names[i], kept[i]);
  return out;
}

void restore_renderings(Vault& vault, const Json& issued, BundleFiles& files) {
  const Json* renderings = issued.find("renderings");
  if (!renderings) return;
  for (std::string_view name : kRenderings)
    if (const Json* digest = renderings->find(name))
      files[std::string(name)] = vault.store().blob(digest->as_string());
}

ReportLanguages report_languages(const std::vector<std::string>& names) {
  ReportLanguages out;
  for (const std::string& name : names) {
    if (name != "ja" && name != "en")
      throw Error(Code::usage, "there is no rendering in the language \"" + name + "\"")
          .next("--lang ja or --lang en");
    ReportLanguage language = name == "ja" ? ReportLanguage::ja : ReportLanguage::en;
    if (std::find(out.begin(), out.end(), language) == out.end()) out.push_back(language);
  }
  if (out.empty()) out = {ReportLanguage::ja, ReportLanguage::en};
  return out;
}

std::vector<std::string> render_bundle(const std::string& path, const std::string& directory,
                                       const ReportLanguages& languages) {
  BundleFiles files = open_bundle(path);
  VerifyReport report = verify_bundle(files, {}, {.required_profile = "low"});
  if (report.withdrawn)
    throw Error(Code::state_refused, "the certificate was withdrawn: it is not rendered")
        .cause("certificate-withdrawn stands in the ledger of the bundle")
        .next("kesu verify " + path);
  if (report.verdict == Verdict::invalid)
    throw Error(Code::bundle_invalid, "the bundle is forged, altered or inconsistent: it is not rendered")
        .cause(first_error(report))
        .next("kesu verify " + path);
  return write_renderings(files, directory, languages);
}

std::vector<std::string> render_certificate(Vault& vault, const CertificateRecord& certificate,
                                            const std::string& directory, const ReportLanguages& languages) {
  refuse_withdrawn(certificate, "kesu certificate list");
  return write_renderings(issued_files(vault, certificate), directory, languages);
}

}  // namespace kesu
