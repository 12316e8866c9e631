#include <dlfcn.h>

#include <string>

#include "base/error.h"
#include "report/drawing_impl.h"

namespace kesu::report {

const Drawing& drawing() {
  static const Drawing kLoaded = [] {
    // It brings the others with it.
    const char* name = "libpangocairo-1.0.so.0";
    void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      throw Error(Code::module_absent, std::string("a page cannot be drawn: ") + name + " does not load")
          .cause(::dlerror())
          .next("install libpangocairo-1.0-0 and fonts-noto-cjk");
    Drawing out;
#define KESU_LOAD(function)                                                                                  \
  out.function = reinterpret_cast<decltype(out.function)>(::dlsym(library, #function));                      \
  if (!out.function)                                                                                         \
    throw Error(Code::module_absent, std::string("a page cannot be drawn: no ") + #function + " in " + name) \
        .next("install libpangocairo-1.0-0 of Debian 12, or newer");
    KESU_DRAWING(KESU_LOAD)
#undef KESU_LOAD
    return out;
  }();
  return kLoaded;
}

}  // namespace kesu::report
