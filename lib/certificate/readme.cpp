// README.txt: the recipe for an auditor who has stock tools only.
#include "certificate/readme_impl.h"

#include <algorithm>

#include "crypto/x509.h"

namespace kesu {

namespace {
// Version 1.
std::string ssh_loop(bool more_acts) {
  return "    for s in " +
         std::string(more_acts ? "approvals/*.opr-*.json"
                               : "approvals/request.*.json approvals/approve.*.json") +
         "; do a=${s#approvals/}; a=${a%%.*}; "
         "o=${s%.json}; o=${o##*.}\n"
         "      ssh-keygen -Y verify -f approvals/allowed_signers -I \"$o\" -n \"kesu-$a-v1\" -s \"$s.sig\" "
         "< \"$s\"; done\n";
}

// Where somebody signs with a certificate. A CMS has no namespace: the statement says what it is itself.
std::string certificates_loop() {
  return "    for s in $(ls -d approvals/* | grep -E "
         "'/(request|approve|verify|validate|key-attest)[.].*json$'); "
         "do\n"
         "      a=${s#approvals/}; a=${a%%.*}; o=${s%.json}; o=${o##*.}; c=approvals/certificate.$o.pem\n"
         "      if [ -e \"$c\" ]; then grep -Eq \"\\\"(action\\\": \\\"$a|type\\\": \\\"kesu-$a-v1)\\\"\" "
         "\"$s\" &&\n"
         "        openssl cms -verify -binary -inform PEM -in \"$s.sig\" -content \"$s\" -nointern -certfile "
         "\"$c\" -noverify -out /dev/null\n"
         "      else ssh-keygen -Y verify -f approvals/allowed_signers -I \"$o\" -n \"kesu-$a-v1\" -s "
         "\"$s.sig\" < \"$s\"; fi; done\n";
}

// The time of the entry that names a statement, as ssh-keygen reads it: whoever's time has ended since signed
// within it.
std::string time_function() {
  return "    at() { d=$(sha256sum < \"$1\" | cut -c1-64)\n"
         "      n=$(sed -En 's/.*\"statement\":\"'\"$d\"'\".*\"seq\":([0-9]+)\\}$/\\1/p' ledger/bodies.jsonl "
         "| sed -n 1p)\n"
         "      zcat ledger/headers.gz | sed -En "
         "\"$((n + 1))\"'s/.*\"time\":\"(....)-(..)-(..)T(..):(..):(..).*/\\1\\2\\3\\4\\5\\6Z/p'; }\n";
}

std::string verify_by_ssh(bool timed) {
  return std::string("ssh-keygen -Y verify ") + (timed ? "-O \"verify-time=$(at \"$s\")\" " : "");
}

// Each statement that `pattern` finds, by the key that `signers` has for whom its file's name says.
std::string statements_loop(const ReadmeFacts& f, const std::string& pattern, const std::string& signers) {
  const std::string ssh =
      verify_by_ssh(f.limited) + "-f " + signers + " -I \"$o\" -n \"kesu-$a-v1\" -s \"$s.sig\" < \"$s\"";
  std::string out = "    for s in $(ls -d approvals/* | grep -E '/(" + pattern +
                    ")[.].*json$'); do a=${s#approvals/}; a=${a%%.*}; o=${s%.json}; o=${o##*.}\n";
  if (!f.certificates) return out + "      " + ssh + "; done\n";
  return out +
         "      c=approvals/certificate.$o.pem; if [ -e \"$c\" ]; then grep -Eq \"\\\"(action\\\": "
         "\\\"$a|type\\\": \\\"kesu-$a-v1)\\\"\" \"$s\" &&\n"
         "        openssl cms -verify -binary -inform PEM -in \"$s.sig\" -content \"$s\" -nointern -certfile "
         "\"$c\" -noverify -out /dev/null\n"
         "      else " +
         ssh + "; fi; done\n";
}

std::string statements(const ReadmeFacts& f, int version) {
  if (version == 1) return f.certificates ? certificates_loop() : ssh_loop(f.more_acts);
  return (f.limited ? time_function() : "") +
         statements_loop(f, "request|approve|verify|validate|key-attest", "approvals/allowed_signers");
}

// Who the officers are, by the signature of each.
std::string genesis_loop(const ReadmeFacts& f) {
  const std::string ssh = std::string("ssh-keygen -Y verify ") +
                          (f.limited ? "-O \"verify-time=$(at approvals/genesis.json)\" " : "") +
                          "-f approvals/allowed_signers -I \"$o\" -n kesu-genesis-v1 -s \"$s\" < "
                          "approvals/genesis.json";
  std::string out = "    for s in approvals/genesis.opr-*.sig; do o=${s#approvals/genesis.}; o=${o%.sig}\n";
  if (!f.certificates) return out + "      " + ssh + "; done\n";
  return out +
         "      c=approvals/certificate.$o.pem; if [ -e \"$c\" ]; then\n"
         "        openssl cms -verify -binary -inform PEM -in \"$s\" -content approvals/genesis.json "
         "-nointern "
         "-certfile \"$c\" -noverify -out /dev/null\n"
         "      else " +
         ssh + "; fi; done\n";
}

std::string releases(const ReadmeFacts& f) {
  return "\nLegal holds were released by those whom approvals/release.* name; allowed_signers lists no such "
         "signatures, so its\nkeys are taken without what they are listed for:\n\n"
         "    sed -E 's/ namespaces=\"[^\"]*\"[ ,]/ /' approvals/allowed_signers > ../release_signers\n" +
         statements_loop(f, "release", "../release_signers");
}

std::string commands(const ReadmeFacts& f, int version) {
  const bool timed = version > 1 && f.limited;
  return "\nEntries name the command that they belong to, signed by who ran it:\n\n"
         "    for s in approvals/command.*.json; do o=$(sed -n 's/^  \"operator\": \"\\(.*\\)\",$/\\1/p' "
         "\"$s\")\n      " +
         verify_by_ssh(timed) +
         "-f approvals/allowed_signers -I \"$o\" -n kesu-command-v1 -s \"$s.sig\" < \"$s\"; done\n";
}

bool has(const BundleFiles& files, std::string_view beginning) {
  const auto it = files.lower_bound(std::string(beginning));
  return it != files.end() && it->first.starts_with(beginning);
}
}  // namespace

ReadmeFacts readme_facts(const BundleFiles& files, const std::string& certificate,
                         const std::string& organisation) {
  const auto text = [&](std::string_view path) { return as_text(files.at(std::string(path))); };
  return {.certificate = certificate,
          .organisation = organisation,
          .under_authority = Certificate::parse_pem(text(bundle::kSigner)).size() > 1,
          // Verifications and validations sort behind all other approvals.
          .more_acts = has(files, "approvals/v") || has(files, "approvals/key-attest."),
          .certificates = has(files, "approvals/certificate."),
          .commands = has(files, "approvals/command."),
          .releases = has(files, "approvals/release."),
          .limited = text(bundle::kAllowedSigners).find("valid-") != std::string_view::npos,
          .waited = text(bundle::kBodies).find("\"checkpoint\":\"") != std::string_view::npos,
          .stamped = files.contains(std::string(bundle::kSignatureStamp))};
}

namespace {
// That nothing was altered since it was signed: the same in every version.
std::string signed_files(const ReadmeFacts& f) {
  return "    sha512sum -c MANIFEST\n"
         "    openssl cms -verify -binary -cades -in certificate.json.p7s -inform DER -content "
         "certificate.json \\\n"
         "        -CAfile " +
         std::string(
             f.under_authority
                 ? "ROOT.pem -purpose any -out /dev/null          # the authority that you trust\n"
                   "    openssl verify -CAfile ROOT.pem -untrusted trust/signer.pem trust/signer.pem\n"
                   "    # where there is trust/signer.crl, add: -CRLfile trust/signer.crl -crl_check_all\n"
                 : "trust/signer.pem -purpose any -out /dev/null\n");
}

std::string readme_body(const ReadmeFacts& f, int version) {
  return "Erasure certificate " + f.certificate + " of " + f.organisation +
         "\n\n"
         "certificate.json is the statement; nothing else in this directory can speak for it. Check it with "
         "kesu:\n\n"
         "    kesu verify . --trust YOUR-TRUST-FILE\n\n"
         "or with stock tools, in this directory (what to compare with is in docs/verify-by-hand.md of "
         "kesu):\n\n" +
         signed_files(f) +
         "    openssl x509 -in trust/signer.pem -noout -fingerprint -sha256     # the signer you know?\n"
         "    sha256sum plan.json                                               # \"plan\" in "
         "certificate.json and statements\n" +
         statements(f, version) +
         "    (cd evidence && for f in *; do echo \"$f  $f\"; done | sha256sum -c)\n"
         "    zcat ledger/headers.gz | wc -l                                    # the size in "
         "ledger/checkpoint-b\n\n"
         "The keys in trust/ and approvals/allowed_signers are what the issuer offers. They prove something "
         "only when you\n"
         "know from elsewhere that they are the organisation's.\n";
}

// Version 3: what each line should print, and what they all leave out.
std::string readme_told(const ReadmeFacts& f) {
  return "Erasure certificate " + f.certificate + " of " + f.organisation +
         "\n\n"
         "certificate.json is the statement; nothing else in this directory can speak for it. A tool should "
         "not "
         "come from those\n"
         "whom it checks: take kesu, verify_certificate.py (python3, python3-cryptography) or "
         "kesu-verify.html "
         "(a browser, no\n"
         "network) from a release that you trust, and say in a file whom you trust:\n\n"
         "    kesu verify . --trust YOUR-TRUST-FILE\n\n"
         "Or use stock tools, in this directory. Each line says OK, successful or Good for everything that "
         "it "
         "checks, or prints what\n"
         "the words behind # ask for. Whatever else it says, FAILED and error above all, is a reason not to "
         "rely on this.\n\n" +
         signed_files(f) +
         "    openssl x509 -in trust/signer.pem -noout -fingerprint -sha256     # what you know of the "
         "signer\n"
         "    grep -c \"\\\"plan\\\":\\\"$(sha256sum < plan.json | cut -c1-64)\\\"\" certificate.json "
         "           # 1: it is about this plan\n" +
         statements(f, 3) +
         "    grep -L \"\\\"plan\\\": \\\"$(sha256sum < plan.json | cut -c1-64)\\\"\" "
         "approvals/request.*.json approvals/approve.*.json || true  # nothing\n" +
         genesis_loop(f) +
         "    (cd evidence && for f in *; do echo \"$f  $f\"; done | sha256sum -c)\n"
         "    zcat ledger/headers.gz | wc -l; sed -n 2p ledger/checkpoint-b     # twice the same number\n"
         "    zcat ledger/headers.gz | grep '\"type\":\"certificate-issued\"' | grep -c \"$(sha512sum < "
         "MANIFEST "
         "| cut -c1-128)\"  # 1: the ledger has this\n\n"
         "Once a certificate in trust/signer.pem has ended, add -attime to openssl cms, with \"issued\" of "
         "certificate.json as\n"
         "seconds since 1970 (date -d TIME +%s).\n\n"
         "The keys in trust/ and approvals/allowed_signers are what the issuer offers. They prove something "
         "only when you\n"
         "know from elsewhere that they are the organisation's.\n\n"
         "These lines show that nothing here was altered since it was signed, and by whom. They do not fold "
         "the "
         "ledger to its\n"
         "checkpoints, follow which keys ever reached the data, judge the inspections or work out the levels "
         "in "
         "certificate.json:\n"
         "the three programs above do. Who may sign a certificate can write anything into it that they would "
         "refuse.\n";
}

std::string readme_stamps() {
  return "\nThe signature is time-stamped (RFC 3161), inside and as a file; so is ledger/checkpoint-b where "
         "time/checkpoint-b.tsr is.\n"
         "With the root certificate of an authority that you trust in ROOT.pem:\n\n"
         "    openssl ts -verify -data certificate.json.p7s -in time/certificate.json.p7s.tsr \\\n"
         "        -CAfile ROOT.pem -untrusted trust/tsa.pem\n"
         "    openssl ts -verify -data ledger/checkpoint-b -in time/checkpoint-b.tsr \\\n"
         "        -CAfile ROOT.pem -untrusted time/checkpoint-b.pem\n"
         "    openssl ts -reply -text -in time/certificate.json.p7s.tsr         # when, and by whom\n\n"
         "Once the authority's own certificate has ended, add -attime with the token's time as seconds "
         "since 1970.\n";
}

std::string readme_waiting() {
  return "\nThat the waiting period passed is time-stamped: a checkpoint with the approvals, and one before "
         "the first\ndestroy-intended (zcat ledger/headers.gz). With the root certificate of an authority "
         "that you trust in ROOT.pem, entries and times:\n\n"
         "    h='[0-9a-f]\\{64\\}'\n"
         "    sed -n "
         "'s/"
         "^{\"body\":{\"authority\":\"\\('$h'\\)\",\"checkpoint\":\"\\('$h'\\)\",\\(\"command\":{[^{}]*},\\)"
         "\\{0,1\\}\"document\":\"\\('$h'\\)\",\"size\":[0-9]*},.*\"seq\":\\([0-9]*\\)}$/\\5 \\2 \\4 \\1/p' "
         "ledger/bodies.jsonl |\n"
         "      while read -r entry note answer chain; do\n"
         "        echo \"entry $entry, over $(sed -n 2p evidence/$note) entries: $(openssl ts -reply -text "
         "-in evidence/$answer | sed -n 's/^Time stamp: //p')\"\n"
         "        openssl ts -verify -data evidence/$note -in evidence/$answer -CAfile ROOT.pem -untrusted "
         "evidence/$chain\n"
         "        zcat ledger/headers.gz | sed -n \"$((entry + 1))p\" | grep \"erasure-stamped\" | grep "
         "\"\\\"d\\\":\\\"$answer\\\"\"\n"
         "      done\n"
         "\nEach prints its header, which must name this erasure.\n";
}
}  // namespace

std::string readme_text(const ReadmeFacts& f, int version) {
  return (version > 2 ? readme_told(f) : readme_body(f, version)) +
         (version > 1 && f.releases ? releases(f) : "") + (f.commands ? commands(f, version) : "") +
         (f.stamped ? readme_stamps() : "") + (f.waited ? readme_waiting() : "");
}

}  // namespace kesu
