#include "app/people.h"

#include <unistd.h>

#include "base/files.h"
#include "base/process.h"
#include "crypto/person_key.h"

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
  return verify_person(as_bytes(message), armored, name_space, PersonKey::parse_line(public_key)).reason;
}

std::string signing_recipe(const std::string& name_space, bool certificate, const std::string& file) {
  if (!certificate) return "ssh-keygen -Y sign -n " + name_space + " -f KEY " + file;
  return "openssl cms -sign -binary -md sha256 -in " + file +
         " -signer CERTIFICATE.pem -inkey KEY -outform PEM -out " + file + ".sig";
}

std::string obtain_signature(const Statement& statement, const OperatorRecord& person,
                             const SignatureSource& source, const std::string& export_hint) {
  return obtain_signature(statement.text(), statement.signature_namespace(), person, source, export_hint);
}

std::string obtain_signature(const std::string& text, const std::string& name_space,
                             const OperatorRecord& person, const SignatureSource& source,
                             const std::string& export_hint) {
  std::string armored;
  const bool certificate = PersonKey::parse_line(person.public_key).certificate.has_value();
  const std::string elsewhere =
      export_hint + ", " + signing_recipe(name_space, certificate, "FILE") + ", then --signature FILE.sig";
  if (!source.signature_file.empty())
    armored = person_signature_text(read_file(source.signature_file, kMaxPersonSignature));
  else if (certificate)
    throw Error(Code::usage, person.name + " signs with a certificate, which kesu does not do for anybody")
        .next("where the private key is: " + elsewhere);
  else if (!source.key_file.empty())
    armored = ssh_sign(text, source.key_file, name_space);
  else
    throw Error(Code::usage, "who signs? " + person.name + "'s signature is needed")
        .next("--key FILE (your SSH key, or its .pub with an agent), or sign elsewhere: " + elsewhere);
  if (std::string why = signature_problem(text, armored, name_space, person.public_key); !why.empty())
    throw Error(Code::signature_bad, "the signature is not " + person.name + "'s over this statement")
        .cause(why)
        .next("sign exactly the bytes of the statement, with the key " + person.fingerprint +
              (certificate ? ": " + signing_recipe(name_space, true, "FILE") : ""));
  return armored;
}

}  // namespace kesu
