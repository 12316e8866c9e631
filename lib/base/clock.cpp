#include "base/clock.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace kesu {

Millis SystemClock::now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string utc_text(Millis t) {
  using namespace std::chrono;
  sys_time<milliseconds> tp{milliseconds(t)};
  auto day = floor<days>(tp);
  year_month_day ymd{day};
  hh_mm_ss time{tp - day};
  char out[40];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(ymd.year()),
                static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return out;
}

std::optional<Millis> parse_utc(std::string_view text) {
  using namespace std::chrono;
  int y, mo, d, h, mi, s, ms;
  std::string copy(text);
  if (copy.size() != 24) return std::nullopt;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &y, &mo, &d, &h, &mi, &s, &ms) != 7)
    return std::nullopt;
  year_month_day ymd{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!ymd.ok() || y < 1970 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59 || ms < 0)
    return std::nullopt;
  Millis t = duration_cast<milliseconds>(sys_days(ymd).time_since_epoch()).count() +
             ((h * 60 + mi) * 60 + s) * 1000LL + ms;
  if (utc_text(t) != text) return std::nullopt;
  return t;
}

std::string local_text(Millis t) {
  std::time_t seconds = static_cast<std::time_t>(t / 1000 - (t % 1000 < 0));
  std::tm tm{};
  localtime_r(&seconds, &tm);
  long off = tm.tm_gmtoff / 60;
  char out[64];
  std::snprintf(out, sizeof out, "%04d-%02d-%02d %02d:%02d %c%02ld:%02ld", tm.tm_year + 1900, tm.tm_mon + 1,
                tm.tm_mday, tm.tm_hour, tm.tm_min, off < 0 ? '-' : '+', std::labs(off) / 60,
                std::labs(off) % 60);
  return out;
}

int year_of(Millis t) { return std::stoi(utc_text(t).substr(0, 4)); }

}  // namespace kesu
