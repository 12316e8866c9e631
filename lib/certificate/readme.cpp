// README.txt: the recipe for an auditor who has stock tools only.
#include "certificate/readme_impl.h"

namespace kesu {

namespace {
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
}  // namespace

std::string readme_text(const std::string& certificate, const std::string& organisation, bool more_acts,
                        bool under_authority, bool certificates) {
  return "Erasure certificate " + certificate + " of " + organisation +
         "\n\n"
         "certificate.json is the statement; nothing else in this directory can speak for it. Check it with "
         "kesu:\n\n"
         "    kesu verify . --trust YOUR-TRUST-FILE\n\n"
         "or with stock tools, in this directory (what to compare with is in docs/verify-by-hand.md of "
         "kesu):\n\n"
         "    sha512sum -c MANIFEST\n"
         "    openssl cms -verify -binary -cades -in certificate.json.p7s -inform DER -content "
         "certificate.json \\\n"
         "        -CAfile " +
         std::string(
             under_authority
                 ? "ROOT.pem -purpose any -out /dev/null          # the authority that you trust\n"
                   "    openssl verify -CAfile ROOT.pem -untrusted trust/signer.pem trust/signer.pem\n"
                 : "trust/signer.pem -purpose any -out /dev/null\n") +
         std::string(under_authority
                         ? "    # where there is trust/signer.crl, add: -CRLfile trust/signer.crl "
                           "-crl_check_all\n"
                         : "") +
         "    openssl x509 -in trust/signer.pem -noout -fingerprint -sha256     # the signer you know?\n"
         "    sha256sum plan.json                                               # \"plan\" in "
         "certificate.json and statements\n" +
         (certificates ? certificates_loop() : ssh_loop(more_acts)) +
         "    (cd evidence && for f in *; do echo \"$f  $f\"; done | sha256sum -c)\n"
         "    zcat ledger/headers.gz | wc -l                                    # the size in "
         "ledger/checkpoint-b\n\n"
         "The keys in trust/ and approvals/allowed_signers are what the issuer offers. They prove something "
         "only when you\n"
         "know from elsewhere that they are the organisation's.\n";
}

std::string readme_commands() {
  return "\nEntries name the command that they belong to, signed by who ran it:\n\n"
         "    for s in approvals/command.*.json; do o=$(sed -n 's/^  \"operator\": \"\\(.*\\)\",$/\\1/p' "
         "\"$s\")\n"
         "      ssh-keygen -Y verify -f approvals/allowed_signers -I \"$o\" -n kesu-command-v1 -s \"$s.sig\" "
         "< \"$s\"; done\n";
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

}  // namespace kesu
