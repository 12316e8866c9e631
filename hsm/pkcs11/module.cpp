// Loading, initialising and sharing PKCS #11 modules; what their answers mean.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/files.h"
#include "crypto/hash.h"
#include "hsm/pkcs11/module_impl.h"

namespace kesu::p11 {

namespace {
const Quirks kQuirks[] = {
    // SoftHSM 2.6.1 answers a failed tag with CKR_GENERAL_ERROR, and does much of an operation under locks:
    // two
    // threads hand those to each other, and are at times faster than one, at times slower.
    {"SoftHSM", {CKR_GENERAL_ERROR, CKR_ENCRYPTED_DATA_INVALID}, false},
    {"", {CKR_ENCRYPTED_DATA_INVALID, kAeadDecryptFailed}, true},
};

std::string file_sha256(const std::string& path) {
  try {
    return hex(sha256(ByteView(read_file(path))));
  } catch (const Error&) {
    return {};  // loadable, not readable: the record then has no digest
  }
}

struct Registry {
  std::mutex mutex;  // held while a module is counted, initialised or finalised
  std::map<std::string, std::unique_ptr<Module>> modules;
};
Registry& registry() {
  static auto* one = new Registry;  // outlives every provider, static ones too
  return *one;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
}  // namespace

void CallLog::add(const char* call, CK_RV rv, std::chrono::steady_clock::duration took) {
  std::lock_guard lock(mutex_);
  if (!rows_.empty() && std::string_view(rows_.back().call) == call && rows_.back().rv == rv) {
    ++rows_.back().times;
    rows_.back().took += took;
  } else if (rows_.size() < kMaxRows) {
    rows_.push_back({call, rv, 1, took});
  } else {
    ++dropped_;
  }
}

Json CallLog::to_json() const {
  Json out = Json::array({});
  std::lock_guard lock(mutex_);
  for (const Row& row : rows_)
    out.push(Json::object(
        {{"call", row.call},
         {"ms",
          static_cast<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(row.took).count())},
         {"rv", rv_name(row.rv)},
         {"times", row.times}}));
  if (dropped_ > 0)
    out.push(Json::object({{"call", "(not kept)"}, {"ms", 0}, {"rv", ""}, {"times", dropped_}}));
  return out;
}

std::shared_ptr<Module> Module::get(const std::string& path, CallLog* log) {
  std::error_code ec;
  std::string real = std::filesystem::canonical(path, ec).string();
  if (ec)
    throw Error(Code::module_absent, "the PKCS #11 module " + path + " cannot be found")
        .tried("looking for " + path)
        .cause(ec.message())
        .next(
            "install the package of the token's vendor (for SoftHSM2: softhsm2; for cards: opensc-pkcs11), "
            "or "
            "correct module-path in the URI");
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  std::unique_ptr<Module>& slot = all.modules[real];
  if (!slot) {
    std::unique_ptr<Module> made(new Module());
    made->load(real, log);
    slot = std::move(made);
  }
  ++slot->users_;
  return std::shared_ptr<Module>(slot.get(), [](Module* module) { module->release(); });
}

void Module::release() {
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  if (--users_ == 0) all.modules.erase(std::string(path_));
}

void Module::load(const std::string& path, CallLog* log) {
  path_ = path;
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    throw Error(Code::module_absent, "the PKCS #11 module " + path + " cannot be loaded")
        .tried("loading it as a shared library")
        .cause(why != nullptr ? why : "dlopen gave no reason")
        .next("see that it is the vendor's library for this machine, and that what it needs is installed");
  }
  // Never unloaded: modules leave threads and exit handlers behind that would then point into nothing.
  auto get_list = reinterpret_cast<CK_RV (*)(CK_FUNCTION_LIST**)>(::dlsym(library, "C_GetFunctionList"));
  if (get_list == nullptr || get_list(&functions_) != CKR_OK || functions_ == nullptr)
    throw Error(Code::module_absent, path + " is a library but no PKCS #11 module")
        .tried("asking it for C_GetFunctionList")
        .cause(get_list == nullptr ? "it has no such function" : "it gave no functions")
        .next("name the vendor's PKCS #11 module in module-path; its name often ends in -pkcs11.so");

  CK_C_INITIALIZE_ARGS args{};
  args.flags = CKF_OS_LOCKING_OK;
  CK_RV rv = P11_CALL(*this, log, C_Initialize, &args);
  // Someone else in this process initialised it: then finalising is theirs too.
  finalize_ = rv == CKR_OK;
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
    throw Error(Code::provider_unavailable, "the PKCS #11 module " + path + " does not start")
        .tried("C_Initialize")
        .cause("it answered " + rv_name(rv))
        .next(
            "look at the module's own configuration (SoftHSM2: SOFTHSM2_CONF and the directory that it "
            "names)");
  rv = P11_CALL(*this, log, C_GetInfo, &info_);
  if (rv != CKR_OK) throw call_error("C_GetInfo", rv, "asking the module who it is");
  sha256_ = file_sha256(path);
  std::string who = padded_text(info_.manufacturerID) + " " + padded_text(info_.libraryDescription);
  quirks_ = std::find_if(std::begin(kQuirks), std::end(kQuirks) - 1,
                         [&who](const Quirks& q) { return contains(who, q.library); });
}

Module::~Module() {
  if (finalize_) P11_CALL(*this, nullptr, C_Finalize, nullptr);
}

void Module::own(CK_SESSION_HANDLE session, const void* owner) {
  std::lock_guard lock(owners_lock_);
  owners_[session] = owner;
}
bool Module::owns(CK_SESSION_HANDLE session, const void* owner) const {
  std::lock_guard lock(owners_lock_);
  auto it = owners_.find(session);
  return it != owners_.end() && it->second == owner;
}
bool Module::disown(CK_SESSION_HANDLE session, const void* owner) {
  std::lock_guard lock(owners_lock_);
  auto it = owners_.find(session);
  if (it == owners_.end() || it->second != owner) return false;
  owners_.erase(it);
  return true;
}

bool Module::is_tag_error(CK_RV rv) const {
  const auto& errors = quirks_->gcm_tag_errors;
  return std::find(errors.begin(), errors.end(), rv) != errors.end();
}

std::string shown_text(ByteView bytes) {
  bool printable = is_utf8(as_text(bytes)) &&
                   std::none_of(bytes.begin(), bytes.end(), [](uint8_t c) { return c < 0x20 || c == 0x7f; });
  return printable ? to_text(bytes) : "hex:" + hex(bytes);
}

CallError call_error(const char* call, CK_RV rv, std::string doing) {
  std::string said = std::string(call) + " answered " + rv_name(rv);
  auto make = [&](Code code, std::string message, std::string next) {
    return CallError(
        Error(code, std::move(message)).tried(std::move(doing)).cause(said).next(std::move(next)), rv);
  };
  switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_KEY_HANDLE_INVALID:
      return make(Code::session_lost, "the login at the token, or a handle of it, is no longer valid",
                  "run the command again; nothing is known about the key from this");
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
      return make(
          Code::provider_unavailable, "the token was removed, or its device no longer answers",
          "insert or start it, then run the command again; nothing is known about its keys from this");
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_DEVICE_ERROR:
    case CKR_DEVICE_MEMORY:
    case CKR_SLOT_ID_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
      return make(Code::provider_unavailable, "the token does not answer",
                  "see that it is there and running, then run the command again");
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_MECHANISM_INVALID:
      return make(Code::mechanism_absent, "the token cannot do this",
                  "use another provider for this purpose");
    case CKR_PIN_LOCKED:
      return make(Code::pin_locked, "the token's PIN is locked",
                  "have the token's security officer unlock it or set a new PIN");
    default:
      return make(Code::provider_failed, "the token refused or failed: " + rv_name(rv),
                  "kesu doctor shows whether the token works; then run the command again");
  }
}

}  // namespace kesu::p11
