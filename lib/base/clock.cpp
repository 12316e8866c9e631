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

namespace {
// Every entry has a time: printf and scanf would take most of the work of reading one.
void put_digits(char* at, int64_t value, int count) {
  for (int i = count - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}
// -1 where they are not all digits.
int digits_at(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}
constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z";
constexpr Millis kYear10000 = 253402300800000;
}  // namespace

std::string utc_text(Millis t) {
  using namespace std::chrono;
  sys_time<milliseconds> tp{milliseconds(t)};
  auto day = floor<days>(tp);
  year_month_day ymd{day};
  hh_mm_ss time{tp - day};
  if (t >= 0 && t < kYear10000) {
    std::string out(kForm);
    put_digits(&out[0], static_cast<int>(ymd.year()), 4);
    put_digits(&out[5], static_cast<unsigned>(ymd.month()), 2);
    put_digits(&out[8], static_cast<unsigned>(ymd.day()), 2);
    put_digits(&out[11], time.hours().count(), 2);
    put_digits(&out[14], time.minutes().count(), 2);
    put_digits(&out[17], time.seconds().count(), 2);
    put_digits(&out[20], time.subseconds().count(), 3);
    return out;
  }
  char out[40];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(ymd.year()),
                static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return out;
}

std::optional<Millis> parse_utc(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] != '0' && text[i] != kForm[i]) return std::nullopt;
  const int y = digits_at(text, 0, 4), mo = digits_at(text, 5, 2), d = digits_at(text, 8, 2),
            h = digits_at(text, 11, 2), mi = digits_at(text, 14, 2), s = digits_at(text, 17, 2),
            ms = digits_at(text, 20, 3);
  if (mo < 0 || d < 0) return std::nullopt;
  year_month_day ymd{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!ymd.ok() || y < 1970 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59 || ms < 0)
    return std::nullopt;
  return duration_cast<milliseconds>(sys_days(ymd).time_since_epoch()).count() +
         ((h * 60 + mi) * 60 + s) * 1000LL + ms;
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
