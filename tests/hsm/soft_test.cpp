// The keystore file: its bytes, its keys, and what happens to it in between.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/sign.h"
#include "hsm/register.h"
#include "hsm/soft/keystore.h"
#include "provider/probe.h"

namespace kesu::test {
namespace {

constexpr const char* kPassphrase = "correct horse battery";

template <class F>
Error error_of(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was raised";
  return Error(Code::failed, "no error was raised");
}
template <class F>
std::string code_of(F&& action) {
  return std::string(code_text(error_of(std::forward<F>(action)).code()));
}

class Soft : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir()) + "kesu-soft-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    write_passphrase(kPassphrase);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void write_passphrase(const std::string& text, const std::string& name = "passphrase",
                        unsigned mode = 0600) {
    write_file_durable(dir_ + "/" + name, as_bytes(text + "\n"), mode);
  }
  std::string path() const { return dir_ + "/keystore"; }
  std::string uri(const std::string& more = "", const std::string& name = "passphrase") const {
    return "soft:" + path() + "?passphrase-source=file:" + dir_ + "/" + name + more;
  }
  std::unique_ptr<Provider> create() {
    return provider_factory()->open(uri("&create=yes&iterations=210000"));
  }
  std::unique_ptr<Provider> open() { return provider_factory()->open(uri()); }
  size_t size() const { return std::filesystem::file_size(path()); }
  static VersionRef version(uint8_t mark, uint32_t number = 1) {
    std::array<uint8_t, 16> bytes{};
    bytes.fill(mark);
    return {KeyId(bytes), number};
  }
  static Secret secret(std::string_view text) { return Secret::from(as_bytes(text)); }

  std::string dir_;
};

bool opens(Provider& provider, const KeyRef& ref, const WrappedKey& wrapped) {
  auto plain = provider.unwrap(ref, wrapped, as_bytes("aad"));
  return as_text(plain.reveal()) == "0123456789abcdef";
}

TEST_F(Soft, VectorsEndAsTheySay) {
  const std::string folder = std::string(KESU_VECTORS) + "/soft-keystore/";
  const Json doc = parse_json(to_text(read_file(folder + "vectors.json")), "vectors.json");
  const Bytes good = read_file(folder + "keystore");
  // One factory: PBKDF2 goes round once for each salt and passphrase file, not for each case.
  auto factory = provider_factory();
  write_passphrase(doc.str("passphrase"));
  write_passphrase("correct horse batterz", "other");
  for (const Json& row : doc.at("cases").as_array()) {
    Bytes file = good;
    for (const Json& edit : row.at("edits").as_array()) {
      const Bytes data = *unhex(edit.str("hex"));
      ASSERT_LE(static_cast<size_t>(edit.num("at")) + data.size(), file.size());
      std::copy(data.begin(), data.end(), file.begin() + edit.num("at"));
    }
    if (row.has("size")) file.resize(static_cast<size_t>(row.num("size")));
    write_file_durable(path(), file, 0600);
    std::string outcome;
    try {
      outcome = std::to_string(factory->open(uri("", row.has("passphrase") ? "other" : "passphrase"))
                                   ->enumerate()
                                   .objects.size()) +
                " keys";
    } catch (const Error& e) {
      outcome = code_text(e.code());
      const std::string mark = " is damaged: ";
      if (size_t at = e.message().find(mark); at != std::string::npos)
        outcome += ": " + e.message().substr(at + mark.size());
    }
    EXPECT_EQ(outcome, row.str("expect")) << row.str("about");
    EXPECT_EQ(read_file(path()), file) << "looking changed the file: " << row.str("about");
  }
}

TEST_F(Soft, VectorsHoldTheKeysTheySay) {
  const std::string folder = std::string(KESU_VECTORS) + "/soft-keystore/";
  const Json doc = parse_json(to_text(read_file(folder + "vectors.json")), "vectors.json");
  write_file_durable(path(), read_file(folder + "keystore"), 0600);
  const Bytes file = read_file(path());
  const soft::Header header = soft::Header::parse(file, path());
  EXPECT_EQ(header.bytes(), Bytes(file.begin(), file.begin() + 512));
  EXPECT_EQ(hex(header.id), doc.str("id"));
  EXPECT_EQ(header.generation, 2u);
  EXPECT_EQ(header.revision, 5u);
  Secret kek = soft::derive(secret(doc.str("passphrase")), header);
  EXPECT_EQ(hex(kek.reveal()), doc.str("kek"));
  auto container = soft::unwrap_container_key(header, kek);
  ASSERT_TRUE(container);
  EXPECT_EQ(hex(container->reveal()), doc.str("container_key"));
  soft::Keystore store(path(), std::move(kek), system_random());
  ASSERT_EQ(store.entries().size(), doc.at("keys").size());
  for (size_t i = 0; i < store.entries().size(); ++i) {
    const Json& row = doc.at("keys").as_array()[i];
    const soft::Entry& entry = store.entries()[i];
    EXPECT_EQ(entry.label, row.str("label"));
    EXPECT_EQ(hex(entry.id), row.str("id"));
    EXPECT_EQ(purpose_text(entry.purpose), row.str("purpose"));
    EXPECT_EQ(entry.imported, row.flag("imported"));
    EXPECT_EQ(entry.made, row.num("made"));
    EXPECT_EQ(hex(entry.check_value), row.str("check_value"));
    EXPECT_EQ(hex(entry.public_key), row.str("public_key"));
    EXPECT_EQ(hex(store.key(i).reveal()), row.str("secret"));
  }
  // And the pairs of it sign.
  write_passphrase(doc.str("passphrase"));
  auto provider = open();
  for (const auto& [mark, purpose] : {std::pair{uint8_t{0x33}, KeyPurpose::sign_ledger},
                                      std::pair{uint8_t{0x44}, KeyPurpose::sign_certificate}}) {
    auto birth = provider->recover(version(mark), purpose);
    ASSERT_TRUE(birth);
    EXPECT_FALSE(provider->sign(birth->ref, Bytes(48, 7)).empty());
  }
}

TEST_F(Soft, RoundTrips) {
  auto provider = create();
  ProviderIdentity who = provider->identity();
  EXPECT_EQ(who.kind, "soft");
  EXPECT_EQ(who.label, "keystore");
  EXPECT_EQ(who.serial.size(), 32u);
  EXPECT_EQ(who.manufacturer, "kesu");
  KeyRef wrap = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  KeyRef ledger = provider->generate(version(0x12), KeyPurpose::sign_ledger).ref;
  KeyRef certificate = provider->generate(version(0x13), KeyPurpose::sign_certificate).ref;
  KeyRef control = provider->generate(version(0xcc), KeyPurpose::control).ref;
  EXPECT_EQ(size(), 512u * 5);
  WrappedKey wrapped = provider->wrap(wrap, secret("0123456789abcdef"), as_bytes("aad"));
  EXPECT_EQ(wrapped.nonce.size(), 12u);
  EXPECT_NE(provider->wrap(wrap, secret("0123456789abcdef"), as_bytes("aad")).nonce, wrapped.nonce);
  provider.reset();

  auto again = open();
  EXPECT_TRUE(again->identity().same_place(who));
  EXPECT_TRUE(opens(*again, wrap, wrapped));
  EXPECT_EQ(code_of([&] { again->unwrap(wrap, wrapped, as_bytes("other")); }), "sealed-damaged");
  EXPECT_EQ(code_of([&] { again->unwrap(control, wrapped, as_bytes("aad")); }), "sealed-damaged");
  const Bytes message = to_bytes(as_bytes("a message"));
  EXPECT_TRUE(verify(PublicKey::from_spki(ledger.public_key), SigAlg::ed25519, message,
                     again->sign(ledger, message)));
  auto der = ecdsa_raw_to_der(KeyKind::p384, again->sign(certificate, hash(HashAlg::sha384, message)));
  ASSERT_TRUE(der);
  EXPECT_TRUE(verify(PublicKey::from_spki(certificate.public_key), SigAlg::ecdsa_sha384, message, *der));
  EXPECT_EQ(code_of([&] { again->sign(wrap, message); }), "mechanism-absent");
  EXPECT_EQ(code_of([&] { again->wrap(ledger, secret("x"), {}); }), "mechanism-absent");
  Enumeration all = again->enumerate();
  EXPECT_TRUE(all.complete);
  EXPECT_EQ(all.objects.size(), 4u);
  EXPECT_EQ(again->container()->generation, 1);
  EXPECT_EQ(again->container()->place, path());
}

TEST_F(Soft, SaysHonestlyWhatSoftwareCannotPromise) {
  auto provider = create();
  Birth birth = provider->generate(version(0x11), KeyPurpose::wrap);
  for (const char* name : {"CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE"})
    EXPECT_FALSE(birth.attributes.at(name).as_bool()) << name;
  EXPECT_TRUE(birth.attributes.at("CKA_EXTRACTABLE").as_bool());
  EXPECT_TRUE(birth.attributes.at("CKA_LOCAL").as_bool());
  EXPECT_EQ(birth.attributes.str("CKA_CLASS"), "CKO_SECRET_KEY");
  EXPECT_EQ(birth.attributes.str("CKA_LABEL"), birth.ref.label);
  EXPECT_EQ(provider->describe(birth.ref), birth.attributes);
  EXPECT_EQ(Birth::from_json(birth.to_json()).to_json(), birth.to_json());
}

TEST_F(Soft, TakesInAKeyMadeElsewhere) {
  auto provider = create();
  Secret zeros(32);
  Birth birth = provider->import_key(version(0x11), zeros);
  EXPECT_EQ(birth.ref.check_value,
            "dc95c0");  // AES-256 under a zero key of a zero block: DC95C078A24089894827…
  EXPECT_FALSE(birth.attributes.at("CKA_LOCAL").as_bool());
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x11), zeros); }), "already-exists");
  Secret short_key(16);
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x12), short_key); }), "bad-input");
  EXPECT_EQ(open()->enumerate().objects.size(), 1u);
}

TEST_F(Soft, GivesOutWrappingKeysAlone) {
  auto provider = create();
  const Secret made = system_random().secret(32);
  const Birth birth = provider->import_key(version(0x11), made);
  EXPECT_EQ(hex(provider->export_key(birth.ref).reveal()), hex(made.reveal()));
  uint8_t mark = 0x12;
  for (KeyPurpose purpose : {KeyPurpose::control, KeyPurpose::sign_ledger, KeyPurpose::sign_certificate}) {
    const Birth other = provider->generate(version(mark++), purpose);
    EXPECT_EQ(code_of([&] { provider->export_key(other.ref); }), "mechanism-absent");
  }
  const Birth twin = provider->generate(version(0x22), KeyPurpose::wrap);
  KeyRef wrong = twin.ref;
  wrong.canary = birth.ref.canary;
  EXPECT_EQ(code_of([&] { provider->export_key(wrong); }), "key-mismatch");
}

TEST_F(Soft, NothingIsMadeByLooking) {
  EXPECT_EQ(code_of([&] { open(); }), "token-absent");
  EXPECT_FALSE(provider_factory()->container_at(uri()));
  EXPECT_EQ(list_directory(dir_), std::vector<std::string>{"passphrase"});
  create();
  auto name = [&] { return open()->identity().serial; };
  const std::string first = name();
  create();  // asked to, and it is there: the same
  EXPECT_EQ(name(), first);
}

TEST_F(Soft, PassphrasesAreJudged) {
  write_passphrase("elevenbytes");
  EXPECT_EQ(code_of([&] { create(); }), "policy-refused");
  EXPECT_FALSE(exists(path()));
  write_passphrase(kPassphrase);
  EXPECT_EQ(code_of([&] { provider_factory()->open(uri("&create=yes&iterations=209999")); }),
            "policy-refused");
  EXPECT_EQ(code_of([&] { provider_factory()->open(uri("&iterations=600000")); }), "bad-input");
  create();
  write_passphrase("correct horse batterz");
  Error wrong = error_of([&] { open(); });
  EXPECT_EQ(wrong.code(), Code::pin_wrong);
  EXPECT_EQ((wrong.message() + wrong.cause() + wrong.next() + wrong.tried()).find("horse"),
            std::string::npos);
  write_passphrase(kPassphrase, "passphrase", 0640);
  EXPECT_EQ(code_of([&] { open(); }), "pin-source-unsafe");
  write_passphrase(kPassphrase);
  ASSERT_EQ(chmod(path().c_str(), 0640), 0);
  Error unsafe = error_of([&] { open(); });
  EXPECT_EQ(unsafe.code(), Code::pin_source_unsafe);
  EXPECT_NE(unsafe.next().find("chmod 600 " + path()), std::string::npos);
  ASSERT_EQ(chmod(path().c_str(), 0600), 0);
  EXPECT_NO_THROW(open());
  setenv("KESU_TEST_PASSPHRASE", kPassphrase, 1);
  EXPECT_NO_THROW(provider_factory()->open("soft:" + path() + "?passphrase-source=env:KESU_TEST_PASSPHRASE"));
  unsetenv("KESU_TEST_PASSPHRASE");
  EXPECT_EQ(code_of([&] { provider_factory()->open("soft:" + path()); }), "pin-missing");
  EXPECT_EQ(code_of([&] { provider_factory()->open("soft:keystore"); }), "bad-input");
  Error inside = error_of([&] { provider_factory()->open("soft:" + path() + "?passphrase=geheim"); });
  EXPECT_EQ(inside.code(), Code::bad_input);
  EXPECT_EQ(inside.message().find("geheim"), std::string::npos);
}

TEST_F(Soft, ADescriptorServesOneProcessAsOftenAsItOpens) {
  create();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GT(write(ends[1], kPassphrase, strlen(kPassphrase)), 0);
  close(ends[1]);
  auto factory = provider_factory();
  const std::string from = "soft:" + path() + "?passphrase-source=fd:" + std::to_string(ends[0]);
  EXPECT_NO_THROW(factory->open(from));
  EXPECT_NO_THROW(factory->open(from));
  EXPECT_EQ(code_of([&] { provider_factory()->open(from); }), "pin-missing");
  close(ends[0]);
}

TEST_F(Soft, DestroyRewritesTheFileWithoutTheKey) {
  auto provider = create();
  KeyRef doomed = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  KeyRef kept = provider->generate(version(0x12), KeyPurpose::wrap).ref;
  WrappedKey of_kept = provider->wrap(kept, secret("0123456789abcdef"), as_bytes("aad"));
  const Bytes before = read_file(path());
  Receipt receipt = provider->destroy_object(doomed);
  EXPECT_TRUE(receipt.accepted);
  EXPECT_EQ(receipt.result, "rewritten");
  EXPECT_NE(receipt.call.find("revision 2"), std::string::npos);
  EXPECT_EQ(receipt.before.str("CKA_LABEL"), doomed.label);
  const Bytes after = read_file(path());
  EXPECT_EQ(after.size(), before.size() - 512);
  // A fresh container key: not a block of the old file is in the new one.
  for (size_t at = 512; at < after.size(); at += 512)
    EXPECT_EQ(std::search(before.begin(), before.end(), after.begin() + static_cast<long>(at),
                          after.begin() + static_cast<long>(at) + 512),
              before.end());
  EXPECT_EQ(code_of([&] { provider->describe(doomed); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->destroy_object(doomed); }), "object-absent");
  EXPECT_TRUE(opens(*provider, kept, of_kept));
  EXPECT_TRUE(opens(*open(), kept, of_kept));
  EXPECT_EQ(provider->container()->generation, 1);
  for (const std::string& name : list_directory(dir_)) EXPECT_EQ(name.find(".tmp"), std::string::npos);
}

TEST_F(Soft, AnotherKeyUnderTheSameNameIsNotTheKey) {
  auto provider = create();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  KeyRef other = provider->generate(version(0x12), KeyPurpose::wrap).ref;
  KeyRef pair = provider->generate(version(0x13), KeyPurpose::sign_ledger).ref;
  KeyRef forged = ref;
  forged.canary = other.canary;
  EXPECT_EQ(code_of([&] { provider->destroy_object(forged); }), "key-mismatch");
  forged = ref;
  forged.check_value = other.check_value;
  EXPECT_EQ(code_of([&] { provider->wrap(forged, secret("x"), {}); }), "key-mismatch");
  forged = ref;
  forged.id = other.id;
  EXPECT_EQ(code_of([&] { provider->describe(forged); }), "key-mismatch");
  forged = pair;
  forged.public_key = provider->generate(version(0x14), KeyPurpose::sign_ledger).ref.public_key;
  EXPECT_EQ(code_of([&] { provider->sign(forged, as_bytes("x")); }), "key-mismatch");
  EXPECT_EQ(provider->enumerate().objects.size(), 4u);
}

TEST_F(Soft, ATornTailIsNoKeyAndStopsNothing) {
  auto provider = create();
  KeyRef first = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  WrappedKey wrapped = provider->wrap(first, secret("0123456789abcdef"), as_bytes("aad"));
  provider->generate(version(0x12), KeyPurpose::wrap);
  const Bytes whole = read_file(path());
  for (size_t left : {1u, 12u, 200u, 511u, 512u}) {
    Bytes torn(whole.begin(), whole.end() - 512);
    if (left < 512)
      torn.insert(torn.end(), whole.end() - 512, whole.end() - 512 + static_cast<long>(left));
    else
      torn.resize(whole.size());  // the size was written, the sector not
    write_file_durable(path(), torn, 0600);
    auto again = open();
    EXPECT_TRUE(opens(*again, first, wrapped)) << left;
    EXPECT_FALSE(again->recover(version(0x12), KeyPurpose::wrap)) << left;
    KeyRef anew = again->generate(version(0x12), KeyPurpose::wrap).ref;
    EXPECT_EQ(size(), whole.size()) << left;
    EXPECT_EQ(open()->describe(anew).str("CKA_LABEL"), anew.label);
  }
}

TEST_F(Soft, InterruptedGenerationIsRecovered) {
  auto provider = create();
  Birth made = provider->generate(version(0x11), KeyPurpose::wrap);
  auto found = open()->recover(version(0x11), KeyPurpose::wrap);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ref.check_value, made.ref.check_value);
  EXPECT_EQ(found->attributes, made.attributes);
  EXPECT_TRUE(open()->describe(found->ref).has("CKA_ID"));
  EXPECT_FALSE(open()->recover(version(0x99), KeyPurpose::wrap));
  EXPECT_EQ(code_of([&] { open()->recover(version(0x11), KeyPurpose::control); }), "key-mismatch");
}

TEST_F(Soft, RekeyIsANewGenerationUnderANewPassphrase) {
  auto provider = create();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  WrappedKey wrapped = provider->wrap(ref, secret("0123456789abcdef"), as_bytes("aad"));
  const std::string serial = provider->identity().serial;
  const Bytes old = read_file(path());
  write_passphrase("short", "next");
  EXPECT_EQ(code_of([&] { provider->rekey("file:" + dir_ + "/next"); }), "policy-refused");
  EXPECT_EQ(code_of([&] { provider->rekey("file:" + dir_ + "/none"); }), "pin-missing");
  EXPECT_EQ(read_file(path()), old);
  auto other = open();
  write_passphrase("another passphrase", "next");
  EXPECT_EQ(provider->rekey("file:" + dir_ + "/next").generation, 2);
  EXPECT_TRUE(opens(*provider, ref, wrapped));
  EXPECT_EQ(code_of([&] { opens(*other, ref, wrapped); }), "session-lost");
  EXPECT_EQ(code_of([&] { open(); }), "pin-wrong");
  auto again = provider_factory()->open(uri("", "next"));
  EXPECT_TRUE(opens(*again, ref, wrapped));
  EXPECT_EQ(again->identity().serial, serial);
  EXPECT_EQ(provider_factory()->container_at(uri())->generation, 2);
  // The old file again: it opens with the old passphrase, and says which generation it is.
  write_file_durable(path(), old, 0600);
  EXPECT_EQ(code_of([&] { opens(*again, ref, wrapped); }), "container-old");
  EXPECT_EQ(provider_factory()->container_at(uri())->generation, 1);
  EXPECT_TRUE(opens(*open(), ref, wrapped));
  EXPECT_EQ(code_of([&] { provider_factory()->open(uri("&generation=2")); }), "container-old");
  EXPECT_NO_THROW(provider_factory()->open(uri("&generation=1")));
}

TEST_F(Soft, TheOldFileRevivesADestroyedKeyAndTheProbeSaysSo) {
  auto provider = create();
  ProbeRequest request;
  request.uri = uri();
  request.identity = provider->identity();
  KeyRef key = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  request.control = provider->generate(version(0xcc), KeyPurpose::control).ref;
  request.keys = {key, provider->generate(version(0x21), KeyPurpose::sign_certificate).ref};
  auto answer = [&](size_t i = 0) {
    ProbeTranscript t = run_probe(std::string(KESU_BIN) + "/kesu-probe", request.to_json(), 20'000);
    EXPECT_EQ(t.exit, 0) << t.stderr_text;
    return std::string(probe_text(read_probe(t).keys.at(i).answer));
  };
  EXPECT_EQ(answer(0), "usable");
  EXPECT_EQ(answer(1), "usable");
  const Bytes old = read_file(path());
  provider->destroy_object(key);
  EXPECT_EQ(answer(0), "absent");
  EXPECT_EQ(answer(1), "usable");
  write_file_durable(path(), old, 0600);
  EXPECT_EQ(answer(0), "usable");
  request.uri += "&generation=2";  // the ledger knows a newer one: nothing follows from this file
  EXPECT_EQ(answer(0), "unknown");
  request.uri = uri();
  std::filesystem::remove(path());
  EXPECT_EQ(answer(0), "unknown");
  setenv("KESU_TEST_PASSPHRASE", kPassphrase, 1);
  request.uri = "soft:" + path() + "?passphrase-source=env:KESU_TEST_PASSPHRASE";
  write_file_durable(path(), old, 0600);
  EXPECT_EQ(answer(0), "usable");
  unsetenv("KESU_TEST_PASSPHRASE");
}

TEST_F(Soft, SeveralProcessesShareOneFile) {
  create();
  constexpr int kProcesses = 4, kEach = 25;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      try {
        auto provider = open();
        for (int i = 0; i < kEach; ++i) {
          KeyRef made = provider
                            ->generate(version(static_cast<uint8_t>(p + 1), static_cast<uint32_t>(i + 1)),
                                       KeyPurpose::wrap)
                            .ref;
          if (i % 5 == 4) provider->destroy_object(made);
        }
      } catch (const Error& e) {
        fprintf(stderr, "child: %s %s\n", e.what(), e.cause().c_str());
        _exit(1);
      }
      _exit(0);
    }
    children.push_back(pid);
  }
  // A reader meanwhile: what it sees is whole.
  auto reader = open();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(reader->enumerate().complete);
  for (pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EQ(reader->enumerate().objects.size(), static_cast<size_t>(kProcesses * (kEach - kEach / 5)));
  EXPECT_EQ(open()->enumerate().objects.size(), reader->enumerate().objects.size());
}

TEST_F(Soft, TenThousandKeys) {
  auto provider = create();
  using Clock = std::chrono::steady_clock;
  auto seconds = [](Clock::time_point since) {
    return std::chrono::duration<double>(Clock::now() - since).count();
  };
  auto begin = Clock::now();
  std::vector<KeyRef> refs;
  for (uint32_t i = 1; i <= 10'000; ++i)
    refs.push_back(provider->generate(version(0x11, i), KeyPurpose::wrap).ref);
  const double made = seconds(begin);
  begin = Clock::now();
  auto again = open();
  const double opened = seconds(begin);
  begin = Clock::now();
  for (size_t i = 0; i < refs.size(); i += 10) again->wrap(refs[i], secret("0123456789abcdef"), {});
  const double wrapped = seconds(begin);
  begin = Clock::now();
  again->destroy_object(refs[5000]);
  const double destroyed = seconds(begin);
  EXPECT_EQ(again->enumerate().objects.size(), 9'999u);
  EXPECT_EQ(size(), 512u * 10'000);
  printf(
      "10,000 keys in a file in memory: %.0f keys/s made, opened in %.3f s (PBKDF2 with it), first use of "
      "1,000 at "
      "%.0f/s, one destroyed in %.3f s\n",
      10'000 / made, opened, 1'000 / wrapped, destroyed);
  EXPECT_LT(made, 60);
  EXPECT_LT(destroyed, 10);
}

}  // namespace
}  // namespace kesu::test
