#include "app/people.h"

#include <unistd.h>

#include "base/files.h"
#include "base/process.h"
#include "crypto/sshsig.h"

namespace kesu {

std::string ssh_sign(std::string_view message, const std::string& key_file, const std::string& name_space) {
  if (!exists(key_file))
    throw Error(Code::not_found, "no key file " + key_file)
        .next("--key names your SSH key, or its .pub when an agent holds it");
  ProgramRequest request{.argv = {"ssh-keygen", "-q", "-Y", "sign", "-n", name_space, "-f", key_file},
                         .environment = whole_environment(),
                         .input = to_bytes(as_bytes(message)),
                         .timeout = 300'000};
  ProgramResult r = run_program(request);
  if (r.exit == 127) throw Error(Code::failed, "ssh-keygen is not there").next("install openssh-client");
  if (r.exit != 0 || r.out.empty())
    throw Error(Code::signature_bad, "no signature was made with " + key_file)
        .cause(r.err.substr(0, 400))
        .next("is the key in your agent (ssh-add -l), and yours?");
  return to_text(r.out);
}

std::string signature_problem(std::string_view message, std::string_view armored,
                              const std::string& name_space, const std::string& public_key) {
  SshSigCheck check = verify_sshsig(as_bytes(message), armored, name_space);
  if (!check.ok) return check.reason;
  if (!(*check.signer == SshPublicKey::parse_line(public_key)))
    return "made with another key: " + check.signer->fingerprint();
  return "";
}

std::string obtain_signature(const Statement& statement, const OperatorRecord& person,
                             const SignatureSource& source, const std::string& export_hint) {
  return obtain_signature(statement.text(), statement.signature_namespace(), person, source, export_hint);
}

std::string obtain_signature(const std::string& text, const std::string& name_space,
                             const OperatorRecord& person, const SignatureSource& source,
                             const std::string& export_hint) {
  std::string armored;
  if (!source.signature_file.empty())
    armored = to_text(read_file(source.signature_file, 65536));
  else if (!source.key_file.empty())
    armored = ssh_sign(text, source.key_file, name_space);
  else
    throw Error(Code::usage, "who signs? " + person.name + "'s signature is needed")
        .next("--key FILE (your SSH key, or its .pub with an agent), or sign elsewhere: " + export_hint +
              ", ssh-keygen -Y sign -n " + name_space + " -f KEY FILE, then --signature FILE.sig");
  if (std::string why = signature_problem(text, armored, name_space, person.public_key); !why.empty())
    throw Error(Code::signature_bad, "the signature is not " + person.name + "'s over this statement")
        .cause(why)
        .next("sign exactly the bytes of the statement, with the key " + person.fingerprint);
  return armored;
}

}  // namespace kesu
