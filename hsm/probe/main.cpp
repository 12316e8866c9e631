// kesu-probe: one request on standard input, one answer on standard output (docs/spec/provider-port.md,
// "Probe"). With the argument `prove` or `rewrap` it works for another process of kesu ("Processes beside").
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/secret.h"
#include "base/stack.h"
#include "hsm/register.h"
#include "provider/probe.h"
#include "provider/prover.h"
#include "seal/rewrapper.h"

namespace {

constexpr size_t kMaxRequest = 64u << 20;

std::string read_input() {
  std::string text;
  char buffer[65536];
  for (;;) {
    ssize_t got = ::read(0, buffer, sizeof buffer);
    if (got == 0) return text;
    if (got < 0) throw kesu::Error(kesu::Code::io_failed, "cannot read the request");
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMaxRequest)
      throw kesu::Error(kesu::Code::bad_input, "the request is longer than 64 MiB");
  }
}

std::vector<std::string> environment_names() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string text = *entry;
    names.push_back(text.substr(0, text.find('=')));
  }
  return names;
}

std::string first_line(const char* path) {
  try {
    std::string text = kesu::to_text(kesu::read_file(path, 4096));
    return text.substr(0, text.find('\n'));
  } catch (const kesu::Error&) {
    return {};
  }
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

int work_beside(void (*serve)(kesu::ProviderFactory&, int)) {
  // Ctrl-C at the terminal is the parent's affair; when that ends, so does this: by itself, for a login that
  // is cut off may cost a software token its file.
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  auto factory = kesu::provider_factory();
  serve(*factory, 0);
  return 0;
}

int run(int argc, char** argv) {
  kesu::harden_process();
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode == "prove") return work_beside(kesu::serve_proofs);
  if (mode == "rewrap") return work_beside(kesu::serve_rewraps);
  // A module that prints must not spoil the answer: its standard output is our standard error.
  kesu::Fd answer_fd(::dup(1));
  ::dup2(2, 1);
  try {
    kesu::SystemClock clock;
    kesu::ProbeRequest request = kesu::ProbeRequest::from_json(kesu::parse_json(read_input(), "the request"));
    kesu::Millis started = clock.now();
    auto factory = kesu::provider_factory();
    factory->record_calls();
    kesu::ProbeReport report = kesu::inspect(*factory, request);
    report.host = host_name();
    report.boot_id = first_line("/proc/sys/kernel/random/boot_id");
    report.pid = ::getpid();
    report.environment = environment_names();
    report.started = started;
    report.ended = clock.now();
    report.calls = factory->calls();
    kesu::write_all(answer_fd.get(), kesu::as_bytes(report.to_json().canonical() + "\n"), "standard output");
    return 0;
  } catch (const kesu::Error& error) {
    std::fprintf(stderr, "kesu-probe: %s\n", error.message().c_str());
    return error.code() == kesu::Code::bad_input ? 2 : 1;
  }
}

}  // namespace

int main(int argc, char** argv) { return kesu::with_enough_stack(run, argc, argv); }
