#include "provider/key_share.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/shamir.h"

namespace kesu {

namespace {
constexpr size_t kKey = 32, kCheck = 32, kValue = kKey + kCheck;
constexpr std::string_view kMagic = "kesu-key-share-v1\n";

std::string head_text(const ShareHead& head) {
  return std::string(kMagic) + "vault " + head.vault.str() + "\nversion " + head.version.str() + "\nset " +
         hex(head.set) + "\nthreshold " + std::to_string(head.threshold) + "\nshares " +
         std::to_string(head.shares) + "\n";
}

bool in_range(const ShareHead& head) {
  return head.threshold >= 2 && head.threshold <= head.shares && head.shares <= kMaxShares;
}

Digest32 check_of(const ShareHead& head, std::span<const uint8_t> key) {
  const std::string text = head_text(head);
  return sha256({as_bytes(text), key});
}

// Neither a table nor a branch depends on the digit.
uint8_t hex_digit(unsigned nibble) {
  return static_cast<uint8_t>('0' + nibble + (((9u - nibble) >> 8) & ('a' - '0' - 10)));
}

// Of a digit that is_hex; as above.
unsigned nibble_of(uint8_t digit) { return (digit & 0xfu) + 9u * (digit >> 6); }

bool is_hex(uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// Lines of a share, one after another; whatever does not fit ends in failed().
class Lines {
 public:
  explicit Lines(std::span<const uint8_t> all) : all_(all) {}
  // What follows `word` and a blank on the next line.
  std::span<const uint8_t> line(std::string_view word) {
    const auto rest = all_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), '\n');
    const auto line = rest.first(static_cast<size_t>(end - rest.begin()));
    if (end == rest.end() || line.size() <= word.size() || line[word.size()] != ' ' ||
        !std::equal(word.begin(), word.end(), line.begin())) {
      failed_ = true;
      return {};
    }
    at_ += line.size() + 1;
    return line.subspan(word.size() + 1);
  }
  std::string text(std::string_view word) { return to_text(line(word)); }
  int number(std::string_view word) {
    const std::string digits = text(word);
    int out = 0;
    auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error != std::errc() || std::to_string(out) != digits) failed_ = true;
    return out;
  }
  size_t at() const { return at_; }
  bool failed() const { return failed_ || at_ > all_.size(); }
  bool done() const { return at_ == all_.size(); }

 private:
  std::span<const uint8_t> all_;
  size_t at_ = 0;
  bool failed_ = false;
};
}  // namespace

std::vector<KeyShare> split_key(const Secret& key, const ShareHead& head, Random& random) {
  if (key.size() != kKey) throw Error(Code::bad_input, "only keys of 32 bytes are shared");
  if (!in_range(head))
    throw Error(Code::bad_input, "a set of shares takes a threshold of 2 up to their number");
  Secret whole(kValue);
  Digest32 check = check_of(head, key.reveal());
  std::copy(key.reveal().begin(), key.reveal().end(), whole.reveal().begin());
  std::copy(check.begin(), check.end(), whole.reveal().begin() + kKey);
  wipe(check);
  std::vector<Secret> values = shamir_split(whole, head.threshold, head.shares, random);
  std::vector<KeyShare> out;
  for (size_t i = 0; i < values.size(); ++i)
    out.push_back({head, static_cast<int>(i + 1), std::move(values[i])});
  return out;
}

Secret share_file(const KeyShare& share) {
  const std::string top = head_text(share.head) + "index " + std::to_string(share.index) + "\nshare ";
  constexpr std::string_view kSum = "sum ";
  const size_t body = top.size() + 2 * kValue + 1;
  Secret out(body + kSum.size() + 2 * sizeof(Digest32) + 1);
  const auto bytes = out.reveal();
  auto at = std::copy(top.begin(), top.end(), bytes.begin());
  for (uint8_t byte : share.value.reveal()) {
    *at++ = hex_digit(byte >> 4);
    *at++ = hex_digit(byte & 0xfu);
  }
  *at++ = '\n';
  const std::string sum = std::string(kSum) + hex(sha256(bytes.first(body))) + "\n";
  std::copy(sum.begin(), sum.end(), at);
  return out;
}

KeyShare parse_share(const Secret& file, const std::string& name) {
  auto bad = [&](const std::string& why) {
    return Error(Code::bad_input, name + " is not a share that can be used")
        .cause(why)
        .next(
            "the file as it came out of openssl cms -decrypt -binary, with nothing added "
            "(docs/spec/key-shares.md)");
  };
  const auto all = file.reveal();
  if (all.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), all.begin()))
    throw bad(
        "its first line is not kesu-key-share-v1; a .p7m file has to be decrypted by its custodian first");
  Lines lines(all.subspan(kMagic.size()));
  const auto vault = VaultId::parse(lines.text("vault"));
  const auto version = VersionRef::parse(lines.text("version"));
  const auto set = unhex(lines.text("set"));
  KeyShare out;
  out.head.threshold = lines.number("threshold");
  out.head.shares = lines.number("shares");
  out.index = lines.number("index");
  const auto value = lines.line("share");
  const size_t body = kMagic.size() + lines.at();
  const auto sum = unhex32(lines.text("sum"));
  if (lines.failed() || !lines.done() || !vault || !version || !set || set->size() != out.head.set.size() ||
      value.size() != 2 * kValue || !std::all_of(value.begin(), value.end(), is_hex) || !sum)
    throw bad("its lines are not those of a share");
  if (sha256(all.first(body)) != *sum) throw bad("it is damaged: its sum does not fit");
  out.head.vault = *vault;
  out.head.version = *version;
  std::copy(set->begin(), set->end(), out.head.set.begin());
  if (!in_range(out.head) || out.index < 1 || out.index > out.head.shares)
    throw bad("threshold, number or index is out of range");
  out.value = Secret(kValue);
  for (size_t i = 0; i < kValue; ++i)
    out.value.reveal()[i] = static_cast<uint8_t>(nibble_of(value[2 * i]) << 4 | nibble_of(value[2 * i + 1]));
  return out;
}

Secret combine_key(const std::vector<KeyShare>& shares) {
  if (shares.empty()) throw Error(Code::bad_input, "no share was given");
  const ShareHead& head = shares[0].head;
  const size_t needed = static_cast<size_t>(head.threshold);
  for (const KeyShare& s : shares)
    if (!(s.head == head))
      throw Error(Code::bad_input, "the shares are not all of one set")
          .cause("share " + std::to_string(s.index) + " says set " + hex(s.head.set) + ", " +
                 std::to_string(s.head.threshold) + " of " + std::to_string(s.head.shares) + ", of " +
                 s.head.version.brief() + "; the first says set " + hex(head.set) + ", " +
                 std::to_string(head.threshold) + " of " + std::to_string(head.shares) + ", of " +
                 head.version.brief());
  std::vector<uint8_t> indices;
  for (const KeyShare& s : shares) {
    const auto index = static_cast<uint8_t>(s.index);
    if (std::find(indices.begin(), indices.end(), index) != indices.end())
      throw Error(Code::bad_input, "share " + std::to_string(s.index) + " was given twice");
    indices.push_back(index);
  }
  if (shares.size() < needed)
    throw Error(Code::bad_input, std::to_string(shares.size()) + " of the " + std::to_string(needed) +
                                     " shares that are needed were given")
        .next("fewer than that tell nothing: ask another custodian");
  std::vector<Secret> values;
  for (size_t i = 0; i < needed; ++i) values.push_back(Secret::from(shares[i].value.reveal()));
  const std::span<const uint8_t> used = std::span<const uint8_t>(indices).first(needed);
  const Secret whole = shamir_combine(used, values);
  const auto both = whole.reveal();
  Digest32 check = check_of(head, both.first(kKey));
  const bool fits = equal_constant_time(check, both.subspan(kKey));
  wipe(check);
  if (!fits)
    throw Error(Code::bad_input, "these shares give no key: the check value does not fit")
        .cause("one of them was altered, or does not belong to this set whatever it says")
        .next("try them with others of the set: more than " + std::to_string(needed) + " tell which it is");
  for (size_t i = needed; i < shares.size(); ++i) {
    const Secret there = shamir_combine(used, values, indices[i]);
    if (!equal_constant_time(there.reveal(), shares[i].value.reveal()))
      throw Error(Code::bad_input, "share " + std::to_string(indices[i]) + " is not of this set")
          .cause("it is not on the polynomial of the others, which give the key")
          .next("leave it out, and ask its custodian where it comes from");
  }
  return Secret::from(both.first(kKey));
}

}  // namespace kesu
