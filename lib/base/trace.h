// A trace of what is asked of providers, for people who look for trouble (--verbose, KESU_LOG=FILE): one line
// for each call, with its mechanism, its answer and its milliseconds. Values are shown by their type: a
// Secret is its size, bytes are their size, so that nothing that must stay inside can get out by
// carelessness.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace kesu {

struct TraceField {
  std::string_view name;
  std::string text;
  TraceField(std::string_view n, int64_t value) : name(n), text(std::to_string(value)) {}
  TraceField(std::string_view n, std::string_view value) : name(n), text(value) {}
  TraceField(std::string_view n, const char* value) : name(n), text(value) {}
  TraceField(std::string_view n, const std::string& value) : name(n), text(value) {}
  TraceField(std::string_view n, const Secret& value)
      : name(n), text("[secret, " + std::to_string(value.size()) + " bytes]") {}
  TraceField(std::string_view n, ByteView value)
      : name(n), text("[" + std::to_string(value.size()) + " bytes]") {}
};

// Where lines go; several may be set, each once at the start of the process. A line has no line feed and no
// control characters.
void add_trace_sink(std::function<void(const std::string& line)> sink);
// Lines on standard error, with their time; for --verbose.
void trace_to_stderr();
// Lines appended to `path`, each in one write, with their time. A new file has mode 600, one that is there is
// set to it. Errors bad_input: it is a link, no regular file, or another user's; io_failed. What cannot be
// written later is lost: a log does not end the work.
void trace_to_file(const std::string& path);
// Cheap: whether anybody listens.
bool tracing();
// "pkcs11 C_Encrypt mechanism=CKM_AES_GCM rv=CKR_OK ms=0.021". Does nothing when nobody listens.
void trace(std::string_view provider, std::string_view call, std::initializer_list<TraceField> fields,
           std::chrono::steady_clock::duration took);

}  // namespace kesu
