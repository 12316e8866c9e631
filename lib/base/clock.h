// Time is a parameter or a Clock. Instants are milliseconds since 1970-01-01T00:00:00Z; text is RFC 3339 in
// UTC with three decimals and 'Z' ("2026-11-21T09:12:00.000Z", always 24 characters), so that text order is
// time order.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kesu {

using Millis = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis now() = 0;
};

class SystemClock final : public Clock {
 public:
  Millis now() override;
};

// For tests: stands still until told.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Millis start) : now_(start) {}
  Millis now() override { return now_; }
  void set(Millis t) { now_ = t; }

 private:
  Millis now_;
};

std::string utc_text(Millis t);
// Exactly the form that utc_text writes, years 1970 to 9999; anything else gives nullopt.
std::optional<Millis> parse_utc(std::string_view text);
// "2026-12-01 09:12 +09:00": minutes, in the time zone of the environment (TZ), the offset written out.
std::string local_text(Millis t);
// The calendar year of t in UTC.
int year_of(Millis t);

}  // namespace kesu
