// kesu certificate request, install
#include "certificate_signer.h"

#include "app/signer.h"
#include "base/files.h"
#include "base/leftovers.h"

namespace kesu::cli {

void setup_signer(CLI::App* group, Context& c) {
  struct Options {
    std::string out, chain;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group->add_subcommand("request",
                                        "a request to a certification authority (PKCS #10), signed by the "
                                        "certificate key inside its provider\n\n"
                                        "  kesu certificate request -o vault.csr");
  cmd->add_option("-o,--out", o->out, "a new file; without: stdout");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    if (!o->out.empty() && exists(o->out))
      throw Error(Code::already_exists, o->out + " is there already").next("choose another -o FILE");
    const std::string pem = request_signer_certificate(v);
    if (!o->out.empty()) write_output(o->out, as_bytes(pem), 0644, false);
    c.show(Json::object({{"request", pem}}),
           o->out.empty()
               ? pem
               : "Request in " + o->out +
                     "\nnext   the authority issues a certificate for signing documents (key usage "
                     "digitalSignature); then kesu certificate install CHAIN.pem\n");
  });
  cmd = group->add_subcommand("install",
                              "sign certificates from now on under what the authority gave\n\n"
                              "  kesu certificate install chain.pem");
  cmd->add_option("CHAIN", o->chain, "PEM: the certificate, then each issuer's in order")->required();
  on_run(cmd, [&c, o] {
    const InstalledSigner s = install_signer_chain(c.open(Access::write), o->chain);
    c.show(
        Json::object({{"version", s.version},
                      {"subject", s.subject},
                      {"issuer", s.issuer},
                      {"until", utc_text(s.not_after)},
                      {"certificates", s.certificates},
                      {"again", s.again}}),
        s.subject + ", issued by " + s.issuer + ", signs until " + local_text(s.not_after) +
            "\nnext   [certificate] crl in kesu.toml says where the authority's revocation list is; readers "
            "add a line to their trust file: signer-ca FILE\n");
  });
}

}  // namespace kesu::cli
