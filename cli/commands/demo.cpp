// kesu demo: the whole of the main job on real files, every command printed as it runs. What it shows is this
// program run as anybody would run it; nothing here reaches behind the commands.
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "../context.h"
#include "base/files.h"
#include "base/process.h"
#include "hsm/register.h"

namespace kesu::cli {

namespace {
constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";
constexpr int64_t kLeastFiles = 1000;

std::string shell_word(const std::string& word) {
  static const std::string kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@%+,~";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

class Demo {
 public:
  Demo(Context& context, std::string dir, std::string source)
      : c_(context), dir_(std::move(dir)), source_(std::move(source)) {}

  void run() {
    prepare();
    people();
    seal();
    erase();
    certify();
    verify();
    summary();
  }

 private:
  void heading(const std::string& text) { std::cout << "\n── " << text << "\n" << std::flush; }
  void note(const std::string& text) { std::cout << "   " << text << "\n" << std::flush; }

  // Prints a command as one would type it, runs it, prints what it prints. Another exit code than `expect`
  // ends the demo.
  std::string step(std::vector<std::string> argv, int expect = 0, const std::string& input_file = "",
                   const std::string& output_file = "", size_t shown_lines = 60) {
    std::string line = "$";
    for (const std::string& a : argv) line += " " + shell_word(a);
    if (!input_file.empty()) line += " < " + input_file;
    if (!output_file.empty()) line += " > " + output_file;
    std::cout << line << "\n" << std::flush;
    if (argv[0] == "kesu") argv[0] = program_;
    ProgramRequest request{.argv = std::move(argv), .environment = environment_, .timeout = 3600'000};
    if (!input_file.empty()) request.input = read_file(path_join(dir_, input_file));
    ProgramResult r = run_program(request);
    std::string out = to_text(r.out);
    if (!output_file.empty())
      write_file_durable(path_join(dir_, output_file), r.out);
    else
      print(out, shown_lines);
    if (!r.err.empty()) print(r.err, shown_lines);
    if (expect != 0) std::cout << "[exit code " << r.exit << "]\n";
    if (r.exit != expect)
      throw Error(Code::failed, "the demo stops: that command ended with exit code " +
                                    std::to_string(r.exit) + ", not " + std::to_string(expect))
          .next("what it left is in " + dir_);
    return out;
  }

  void print(const std::string& text, size_t most) {
    size_t at = 0, line = 0;
    for (; at < text.size() && line < most; ++line) {
      size_t end = std::min(text.find('\n', at), text.size());
      std::cout << text.substr(at, end - at) << "\n";
      at = end + 1;
    }
    if (at < text.size())
      std::cout << "   … (" << std::count(text.begin() + static_cast<ptrdiff_t>(at), text.end(), '\n')
                << " more lines)\n";
    std::cout << std::flush;
  }

  void prepare() {
    if (exists(dir_))
      throw Error(Code::already_exists, dir_ + " is there already").next("name a directory that is not");
    if (!exists(kModule))
      throw Error(Code::module_absent, "the demo needs SoftHSM2")
          .cause(std::string(kModule) + " is not there")
          .next("apt-get install softhsm2, or ./scripts/quickstart, which does that");
    int64_t files = count_files(source_);
    if (files < kLeastFiles)
      throw Error(Code::bad_input, source_ + " has only " + grouped(files) +
                                       " files; the demo wants at least " + grouped(kLeastFiles))
          .next("--source names another directory");
    heading("A token of its own, as if it were the bank's HSM: SoftHSM2, a software token, hence TEST GRADE");
    make_directories(path_join(dir_, "token"), 0700);
    std::string conf = path_join(dir_, "softhsm2.conf"), pin_file = path_join(dir_, "pin");
    write_file_durable(
        conf,
        as_bytes("directories.tokendir = " + dir_ +
                 "/token\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"),
        0600);
    ::setenv("SOFTHSM2_CONF", conf.c_str(), 1);
    Secret pin = digits(), so_pin = digits();
    write_file_durable(pin_file, pin.reveal(), 0600);
    make_test_token(kModule, "demo-bank", so_pin, pin);
    ::unsetenv("KESU_VAULT");
    environment_ = whole_environment();
    if (::chdir(dir_.c_str()) != 0) throw file_error(errno, "enter", dir_);
    uri_ = "pkcs11:token=demo-bank?module-path=" + std::string(kModule) +
           "&pin-source=file:" + percent_encoded(pin_file);
    note("token demo-bank, its PIN in " + pin_file + " (mode 0600); all of this lies in " + dir_);
  }

  // Random decimal digits; PINs never stand on a command line.
  Secret digits() {
    Secret out = c_.env().random.secret(16);
    for (uint8_t& b : out.reveal()) b = static_cast<uint8_t>('0' + b % 10);
    return out;
  }

  static std::string percent_encoded(const std::string& path) {
    std::string out;
    for (char c : path) {
      bool plain =
          std::isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '-' || c == '_' || c == '.';
      out += plain ? std::string(1, c) : "%" + hex(ByteView(reinterpret_cast<const uint8_t*>(&c), 1));
    }
    return out;
  }

  int64_t count_files(const std::string& source) {
    ProgramResult r =
        run_program({.argv = {"find", source, "-type", "f"}, .environment = whole_environment()});
    return std::count(r.out.begin(), r.out.end(), '\n');
  }

  void people() {
    heading(
        "Two people: one requests, another approves. They sign with SSH keys; kesu never sees a private key");
    step({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tanaka", "-f", "tanaka"});
    step({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sato", "-f", "sato"});
    step({"kesu", "init", "--draft", "genesis.json", "--org", "Example Bank", "--origin", "bank.example",
          "--officer", "田中 一郎;Key operator;operator;tanaka.pub", "--officer",
          "佐藤 花子;CISO;approver;sato.pub"});
    step({"ssh-keygen", "-q", "-Y", "sign", "-n", "kesu-genesis-v1", "-f", "tanaka"}, 0, "genesis.json",
         "genesis.json.tanaka.sig");
    step({"ssh-keygen", "-q", "-Y", "sign", "-n", "kesu-genesis-v1", "-f", "sato"}, 0, "genesis.json",
         "genesis.json.sato.sig");
    step({"kesu", "init", "vault", "--genesis", "genesis.json", "--provider", uri_});
    std::cout << "$ export KESU_VAULT=" << shell_word(path_join(dir_, "vault")) << "\n";
    environment_.push_back("KESU_VAULT=" + path_join(dir_, "vault"));
  }

  void seal() {
    heading("Seal real files: every file under a key of its own, each wrapped by the token's key");
    step({"kesu", "key", "create", "loans"});
    step({"kesu", "dataset", "add", "loans-2019", "--key", "loans", "--contract", "CLOUD-2023-11", "--class",
          "confidential", "--plaintext-history", "unknown"});
    step({"kesu", "seal", "loans-2019", source_, "-o", "cloud"}, 0, "", "", 8);
    heading("Rotate the key, seal a late file, and show that everything opens, byte for byte");
    step({"kesu", "key", "rotate", "loans"});
    write_file_durable(path_join(dir_, "late.csv"), as_bytes("customer,amount\n4711,1000000\n"));
    step({"kesu", "seal", "loans-2019", "late.csv", "-o", "cloud"});
    step({"kesu", "open", "cloud", "-o", "restored"});
    step({"diff", "-r", "--no-dereference", "-q", "late.csv", "restored/late.csv"});
    compare();
    step({"kesu", "status"});
  }

  // Links are not sealed in this version of the format's use, so the comparison is over regular files.
  void compare() {
    std::string base = base_name(source_);
    step({"sh", "-c",
          "cd " + shell_word(dir_name(source_)) + " && find " + shell_word(base) +
              " -type f -print0 | sort -z | xargs -0 sha256sum | sed 's/^\\\\//' > " +
              shell_word(path_join(dir_, "before.sha256"))});
    step({"sh", "-c",
          "cd restored && find " + shell_word(base) +
              " -type f -print0 | sort -z | xargs -0 sha256sum | sed 's/^\\\\//' > ../after.sha256"});
    step({"cmp", "before.sha256", "after.sha256"});
    note("identical: " + grouped(count_files(path_join(path_join(dir_, "restored"), base))) + " files");
  }

  void erase() {
    heading("The contract ends. Plan: what would die, what stands in the way. Nothing is changed yet");
    std::string plan = step({"kesu", "erase", "plan", "--contract", "CLOUD-2023-11"});
    erasure_ = plan.substr(plan.find("era-"), 12);
    heading("Request and approval: two persons, two keys, each signs a readable statement");
    step({"kesu", "erase", "request", erasure_, "--as", "田中 一郎", "--key", "tanaka", "--reason",
          "contract CLOUD-2023-11 ended"});
    note("the requester cannot approve, and nothing runs without approval:");
    step({"kesu", "erase", "run", erasure_, "--yes"}, 4);
    step({"kesu", "erase", "approve", erasure_, "--as", "佐藤 花子", "--key", "sato"});
    heading("Run: inspect, destroy the keys in the token, inspect again from another process");
    step({"kesu", "erase", "run", erasure_, "--yes"});
    note("the sealed files are all still there, and nobody can open them any more:");
    step({"kesu", "open", "cloud/late.csv.kesu", "-o", "never"}, 3);
    step({"kesu", "ledger", "verify"});
  }

  void certify() {
    heading(
        "The certificate and its evidence, in one directory that an auditor can check without this vault");
    step({"kesu", "certificate", "bundle", erasure_, "-o", "bundle"});
    note(
        "the auditor needs to know from elsewhere whom to trust; here it is taken from the bundle, which "
        "proves nothing by itself:");
    step({"kesu", "trust", "propose", "bundle"}, 0, "", "trust");
    std::string anchors = to_text(read_file(path_join(dir_, "trust")));
    print(anchors, 20);
    std::erase_if(environment_, [](const std::string& e) {
      return e.starts_with("KESU_VAULT=") || e.starts_with("SOFTHSM2_CONF=");
    });
    std::cout << "$ unset KESU_VAULT SOFTHSM2_CONF\n";
  }

  void verify() {
    heading("Verification 1: at the bar that a software token can reach");
    step({"kesu", "verify", "bundle", "--trust", "trust", "--require", "low", "--allow-test-grade",
          "--object", "cloud/late.csv.kesu"});
    heading(
        "Verification 2: at the default bar, high. It is genuine but not enough, and says what is missing");
    step({"kesu", "verify", "bundle", "--trust", "trust"}, 7);
    heading("Verification 3: one byte of the certificate altered");
    step({"cp", "-r", "bundle", "forged"});
    std::string path = path_join(dir_, "forged/certificate.json");
    Bytes document = read_file(path);
    document[document.size() / 2] ^= 1;
    write_file_durable(path, document);
    note("(flipped one bit in the middle of forged/certificate.json)");
    step({"kesu", "verify", "forged", "--trust", "trust", "--require", "low", "--allow-test-grade"}, 6, "",
         "", 12);
  }

  void summary() {
    heading("What has happened");
    std::cout
        << "   " << grouped(count_files(path_join(dir_, "cloud")))
        << " sealed files lie in cloud/. Their keys were wrapped by two versions of one key in a token.\n"
        << "   Both versions are destroyed, as two people asked and agreed. Every copy of the sealed files, "
           "wherever\n"
        << "   it is, is unreadable from now on. bundle/ shows it: what is proven by computation, what was "
           "recorded\n"
        << "   by this machine, what somebody only says, and what nobody can know. A software token is TEST "
           "GRADE:\n"
        << "   whoever copied its directory before can bring the keys back, and the certificate says so.\n\n"
        << "   read     bundle/certificate.json, bundle/README.txt\n"
        << "   try      sha512sum -c MANIFEST in bundle/; openssl cms -verify … as README.txt says\n"
        << "   alter    anything in bundle/, and run verification 1 again\n"
        << "   remove   rm -r " << dir_ << "\n"
        << std::flush;
  }

  Context& c_;
  std::string dir_, source_, uri_, erasure_;
  std::string program_ = "/proc/self/exe";
  std::vector<std::string> environment_;

 public:
  void use_program(std::string path) { program_ = std::move(path); }
};
}  // namespace

void setup_demo(CLI::App& app, Context& c) {
  struct Options {
    std::string directory, source = "/usr/include";
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand(
      "demo",
      "the main job on real files with a token of its own, in a new directory\n\n  kesu demo /tmp/kesu-demo");
  cmd->add_option("DIR", o->directory, "a directory that is not there yet")->required();
  cmd->add_option("--source", o->source, "files to work on: at least 1,000 (default /usr/include)");
  on_run(cmd, [&c, o] {
    if (c.json) throw Error(Code::usage, "kesu demo is for people: it has no --json");
    Demo demo(c, absolute_path(o->directory), absolute_path(o->source));
    char self[4096];
    ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) throw file_error(errno, "find", "this program");
    demo.use_program(std::string(self, static_cast<size_t>(n)));
    demo.run();
  });
}

}  // namespace kesu::cli
