// HTTP over libcurl, loaded when it is needed.
#include "net/http.h"

#include <curl/curl.h>
#include <dlfcn.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/trace.h"

namespace kesu {

namespace {
constexpr const char* kLibrary = "libcurl.so.4";
constexpr Millis kFirstPause = 500;  // doubled before each further try

// libcurl's functions under their own types.
struct Curl {
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_easy_init) init = nullptr;
  decltype(&curl_easy_cleanup) cleanup = nullptr;
  decltype(&curl_easy_setopt) setopt = nullptr;
  decltype(&curl_easy_perform) perform = nullptr;
  decltype(&curl_easy_getinfo) getinfo = nullptr;
  decltype(&curl_easy_strerror) strerror = nullptr;
  decltype(&curl_slist_append) append = nullptr;
  decltype(&curl_slist_free_all) free_list = nullptr;
};

template <class F>
void load(void* library, F& function, const char* name) {
  function = reinterpret_cast<F>(::dlsym(library, name));
  if (!function)
    throw Error(Code::network_unavailable, std::string(kLibrary) + " has no " + name)
        .next("install libcurl4, 7.85 or newer");
}

const Curl& curl() {
  static const Curl loaded = [] {
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      throw Error(Code::network_unavailable,
                  "there is no HTTP client: " + std::string(kLibrary) + " does not load")
          .cause(::dlerror())
          .next("install libcurl4");
    Curl c;
    load(library, c.global_init, "curl_global_init");
    load(library, c.init, "curl_easy_init");
    load(library, c.cleanup, "curl_easy_cleanup");
    load(library, c.setopt, "curl_easy_setopt");
    load(library, c.perform, "curl_easy_perform");
    load(library, c.getinfo, "curl_easy_getinfo");
    load(library, c.strerror, "curl_easy_strerror");
    load(library, c.append, "curl_slist_append");
    load(library, c.free_list, "curl_slist_free_all");
    if (c.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw Error(Code::network_unavailable, "libcurl does not start");
    return c;
  }();
  return loaded;
}

struct Taking {
  Bytes body;
  size_t most = 0;
  bool too_long = false;
};

size_t take(char* data, size_t size, size_t count, void* into) {
  auto& taking = *static_cast<Taking*>(into);
  const size_t bytes = size * count;
  if (bytes > taking.most - taking.body.size()) {
    taking.too_long = true;
    return 0;  // ends the transfer
  }
  taking.body.insert(taking.body.end(), data, data + bytes);
  return bytes;
}

bool stopped(const HttpRequest& request) { return request.stop && *request.stop; }

int go_on(void* request, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return interrupted() || stopped(*static_cast<const HttpRequest*>(request)) ? 1 : 0;
}

// One exchange. `why` says what went wrong where there is no answer.
bool exchange(const HttpRequest& request, HttpAnswer& out, std::string& why, bool& again) {
  const Curl& c = curl();
  std::unique_ptr<CURL, decltype(c.cleanup)> handle(c.init(), c.cleanup);
  if (!handle) throw Error(Code::out_of_memory, "libcurl: no memory");
  std::unique_ptr<curl_slist, decltype(c.free_list)> headers(nullptr, c.free_list);
  for (const std::string& line : {"Content-Type: " + request.content_type, std::string("Expect:")}) {
    if (request.get && line.starts_with("Content")) continue;
    curl_slist* longer = c.append(headers.get(), line.c_str());
    if (!longer) throw Error(Code::out_of_memory, "libcurl: no memory");
    (void)headers.release();
    headers.reset(longer);
  }
  Taking taking{{}, request.max_answer, false};
  char words[CURL_ERROR_SIZE] = {};
  CURLcode set = CURLE_OK;
  auto option = [&](CURLoption name, auto value) {
    if (const CURLcode result = c.setopt(handle.get(), name, value); result != CURLE_OK) set = result;
  };
  option(CURLOPT_ERRORBUFFER, words);
  option(CURLOPT_URL, request.url.c_str());
  option(CURLOPT_PROTOCOLS_STR, "http,https");
  option(CURLOPT_FOLLOWLOCATION, 0L);
  if (request.get) {
    option(CURLOPT_HTTPGET, 1L);
  } else {
    option(CURLOPT_POST, 1L);
    option(CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(request.body.data()));
    option(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
  }
  option(CURLOPT_HTTPHEADER, headers.get());
  option(CURLOPT_USERAGENT, "kesu");
  option(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  option(CURLOPT_SSL_VERIFYPEER, 1L);
  option(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!request.ca_file.empty()) option(CURLOPT_CAINFO, request.ca_file.c_str());
  option(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.timeout));
  option(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout));
  option(CURLOPT_WRITEFUNCTION, &take);
  option(CURLOPT_WRITEDATA, static_cast<void*>(&taking));
  option(CURLOPT_NOPROGRESS, 0L);
  option(CURLOPT_XFERINFOFUNCTION, &go_on);
  option(CURLOPT_XFERINFODATA, const_cast<void*>(static_cast<const void*>(&request)));
  if (set != CURLE_OK)
    throw Error(Code::network_unavailable, "libcurl takes an option not").cause(c.strerror(set));
  const CURLcode result = c.perform(handle.get());
  check_interrupted();
  if (result != CURLE_OK) {
    why = taking.too_long ? "the answer is longer than " + std::to_string(request.max_answer) + " bytes"
                          : std::string(words[0] ? words : c.strerror(result));
    again = result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_CONNECT ||
            result == CURLE_GOT_NOTHING || result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR;
    return false;
  }
  long status = 0;
  c.getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  out = {static_cast<int>(status), std::move(taking.body)};
  why = "HTTP status " + std::to_string(status);
  again = status == 429 || status == 502 || status == 503 || status == 504;
  return true;
}

void pause(Millis length, const HttpRequest& request) {
  constexpr Millis kStep = 50;
  for (; length > 0 && !stopped(request); length -= kStep) {
    check_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(length, kStep)));
  }
}
}  // namespace

std::string url_problem(std::string_view url) {
  std::string scheme;
  for (char c : url.substr(0, url.find("://")))
    scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (url.find("://") == std::string_view::npos || (scheme != "http" && scheme != "https"))
    return "is no http or https URL";
  for (char c : url)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return "has a space, a control character or one that is not ASCII";
  const std::string_view rest = url.substr(url.find("://") + 3),
                         host = rest.substr(0, rest.find_first_of("/?#"));
  if (host.empty()) return "names no host";
  if (host.find('@') != std::string_view::npos) return "holds credentials, which have no place there";
  return "";
}

HttpAnswer http_post(const HttpRequest& request) {
  if (std::string why = url_problem(request.url); !why.empty())
    throw Error(Code::bad_input, "\"" + request.url.substr(0, 200) + "\" " + why);
  HttpAnswer answer;
  std::string why;
  for (int i = 1;; ++i) {
    bool again = false;
    const auto began = std::chrono::steady_clock::now();
    const bool answered = exchange(request, answer, why, again);
    trace("http", request.get ? "get" : "post",
          {{"url", request.url}, {"result", answered ? std::to_string(answer.status) : why}},
          std::chrono::steady_clock::now() - began);
    if (answered && !again) return answer;
    if (!again || i >= request.tries || stopped(request)) {
      if (answered) return answer;
      throw Error(Code::network_unavailable, request.url + " does not answer")
          .tried((request.get ? "GET " : "POST ") + request.url +
                 (i > 1 ? ", " + std::to_string(i) + " times" : ""))
          .cause(why);
    }
    pause(kFirstPause << (i - 1), request);
  }
}

HttpAnswer http_get(const std::string& url, size_t max_answer) {
  HttpRequest request;
  request.url = url;
  request.get = true;
  request.max_answer = max_answer;
  return http_post(request);
}

}  // namespace kesu
