// Starting the probe: an environment of its own, a deadline, an answer that is read strictly.
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "provider/probe.h"

namespace kesu {

namespace {

// What providers read from the environment. Nothing else reaches the probe: not the preloads and paths of the
// caller.
constexpr const char* kPassed[] = {"SOFTHSM2_CONF", "TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI",
                                   "P11_KIT_SERVER_ADDRESS"};
constexpr size_t kMaxStderr = 8192;
constexpr std::string_view kFromEnvironment[] = {"pin-source=env:", "passphrase-source=env:"};

std::string uri_of(const Json& request) {
  const Json* uri = request.is_object() ? request.find("uri") : nullptr;
  return uri != nullptr && uri->is_string() ? uri->as_string() : std::string();
}

std::string printable(std::string text) {
  for (char& c : text)
    if (c != '\n' && (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)) c = '?';
  return text;
}

}  // namespace

std::vector<std::string> provider_environment(const std::string& uri) {
  std::vector<std::string> names(std::begin(kPassed), std::end(kPassed));
  for (std::string_view source : kFromEnvironment) {
    size_t at = uri.find(source);
    if (at == std::string::npos) continue;
    at += source.size();
    names.push_back(uri.substr(at, uri.find('&', at) - at));
  }
  return names;
}

ProbeTranscript run_probe(const std::string& probe_program, const Json& request, Millis timeout) {
  ProbeTranscript transcript;
  transcript.request = request;
  ProgramResult result = run_program({.argv = {probe_program},
                                      .pass = provider_environment(uri_of(request)),
                                      .input = to_bytes(as_bytes(request.canonical())),
                                      .timeout = timeout,
                                      .max_err = kMaxStderr});
  transcript.timed_out = result.timed_out;
  transcript.exit = result.signal != 0 ? -result.signal : result.exit;
  transcript.stderr_text = printable(std::move(result.err));
  if (result.too_long) transcript.stderr_text += "(the answer is longer than 64 MiB)\n";
  if (result.timed_out || result.too_long || transcript.exit != 0) return transcript;
  std::string said = to_text(result.out);
  if (said.ends_with('\n')) said.pop_back();
  try {
    transcript.answer = parse_canonical_json(said, "the probe's answer");
  } catch (const Error& error) {
    transcript.stderr_text += "(" + printable(error.message()) + ")\n";
  }
  return transcript;
}

std::string probe_program_beside() {
  std::error_code ec;
  auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
  std::string path = path_join(dir_name(self.string()), "kesu-probe");
  if (ec || ::access(path.c_str(), X_OK) != 0)
    throw Error(Code::not_found, "kesu-probe is not beside this program: " + path)
        .next("install both programs of kesu in one directory");
  return path;
}

}  // namespace kesu
