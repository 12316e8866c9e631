// The kesu program: parse, call one use case, print. The only place that catches.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <iostream>

#include "app/version.h"
#include "base/secret.h"
#include "base/stack.h"
#include "base/trace.h"
#include "bus_error.h"
#include "context.h"
#include "standard_output.h"
#include "words.h"

namespace {

// The words of a command, "key create", without what was typed behind them.
std::string words_of(CLI::App* at) {
  std::string words;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    words += (words.empty() ? "" : " ") + at->get_name();
  }
  return words;
}

std::string version_text() {
  kesu::Json facts = kesu::program_facts();
  std::string libraries;
  for (auto& [name, version] : facts.at("libraries").as_object())
    libraries += (libraries.empty() ? "" : ", ") + name + " " + version.as_string();
  return std::string(kesu::kProgram) + "\npolicy " + facts.str("policy_edition") + "\n" + libraries + "\n" +
         facts.str("compiler");
}

kesu::Error no_memory() {
  return kesu::Error(kesu::Code::out_of_memory, "out of memory")
      .next("end something that uses memory, or raise its limit, then run the same command again");
}

struct Part {
  void (*set_up)(CLI::App&, kesu::cli::Context&);
  std::array<std::string_view, 4> commands;  // that need it
};
using namespace kesu::cli;
constexpr Part kParts[] = {
    {setup_vault, {"init"}},      {setup_status, {"status", "doctor", "vault", "operator"}},
    {setup_demo, {"demo"}},       {setup_provider, {"provider"}},
    {setup_key, {"key"}},         {setup_copy, {"copy"}},
    {setup_hold, {"hold"}},       {setup_operator, {"operator", "vault"}},
    {setup_dataset, {"dataset"}}, {setup_seal, {"seal"}},
    {setup_open, {"open"}},       {setup_inventory, {"info", "inventory"}},
    {setup_rewrap, {"rewrap"}},   {setup_reseal, {"reseal"}},
    {setup_erase, {"erase"}},     {setup_certificate, {"certificate", "verify", "trust"}},
    {setup_ledger, {"ledger"}},   {setup_policy, {"policy"}}};

// Setting up some hundred commands takes as long as many a command does: where the first word is one, the
// others are left out.
void set_up(CLI::App& app, Context& context, std::string_view first) {
  const auto has = [&](const Part& p) {
    return !first.empty() && std::find(p.commands.begin(), p.commands.end(), first) != p.commands.end();
  };
  const bool known = std::any_of(std::begin(kParts), std::end(kParts), has);
  for (const Part& p : kParts)
    if (!known || has(p)) p.set_up(app, context);
}

int run(int argc, char** argv) {
  using namespace kesu;
  Context context;
  CLI::App app{"kesu keeps keys from birth to proven death, and proves that data is gone.", "kesu"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", version_text);
  app.add_option("--vault", context.vault_option,
                 "the vault's directory (else KESU_VAULT, else the nearest kesu.toml upwards)");
  app.add_flag("--json", context.json, "one JSON document on standard output");
  app.add_flag("--quiet,-q", context.quiet, "say nothing but errors");
  app.add_flag("--yes,-y", context.yes, "answer yes where it asks");
  app.add_flag("--verbose", context.verbose,
               "every call to a provider on standard error, without secrets (KESU_LOG=FILE: into a file)");
  app.add_option("--operator", context.operator_option,
                 "who runs it, where the vault's rules ask for signed commands (else KESU_OPERATOR)");
  app.add_option("--operator-key", context.operator_key_option,
                 "that person's SSH key, or its .pub when an agent holds it (else KESU_OPERATOR_KEY)");
  set_up(app, context, argc > 1 ? argv[1] : "");
  // Options of the program may stand behind any command.
  std::function<void(CLI::App*)> let_through = [&](CLI::App* a) {
    for (CLI::App* sub : a->get_subcommands({})) {
      sub->fallthrough();
      let_through(sub);
    }
  };
  let_through(&app);

  // Runs when all words are understood, before the command does anything.
  app.parse_complete_callback([&] {
    refuse_bad_words(app);
    context.begin_command(app, words_of(&app));
    context.begin_trace(words_of(&app));
  });

  const auto began = std::chrono::steady_clock::now();
  auto ended = [&](Exit exit, std::string_view code) {
    trace("kesu", "end", {{"exit", static_cast<int64_t>(exit)}, {"error", code}},
          std::chrono::steady_clock::now() - began);
    return static_cast<int>(exit);
  };
  auto failed = [&](const Error& e) {
    print_error(e, context.json);
    return ended(e.exit(), code_text(e.code()));
  };
  try {
    context.json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    tell_bus_errors(context.json);
    refuse_unknown_command(app, argc, argv);
    app.parse(argc, argv);
    context.close();
    return ended(context.exit, "");
  } catch (const CLI::CallForVersion& e) {
    // Thrown before the flags behind it are looked at.
    if (std::find(argv, argv + argc, std::string_view("--json")) == argv + argc) return app.exit(e);
    std::cout << program_facts().canonical() << "\n";
    return 0;
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::string words = words_of(&app);
    return failed(Error(Code::usage, e.what()).next("kesu " + words + (words.empty() ? "" : " ") + "--help"));
  } catch (const Error& e) {
    return failed(e);
  } catch (const std::bad_alloc&) {
    return failed(no_memory());
  } catch (const std::exception& e) {
    return failed(Error(Code::failed, "an unexpected failure")
                      .cause(e.what())
                      .next("please report it with the command that you typed"));
  }
}

// A descriptor 0, 1 or 2 that is closed would become the next file opened, the vault's for one, and what is
// printed would be written into it: one on which reading (0) or writing (1, 2) fails takes its place.
void keep_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
      ::open("/", O_PATH);
}

int guarded_run(int argc, char** argv) {
  keep_standard_descriptors();
  kesu::harden_process();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of that write, not a death
  kesu::cli::StandardOutput output;
  try {
    return output.end(run(argc, argv));
  } catch (const std::bad_alloc&) {  // before the commands were set up
    kesu::cli::print_error(no_memory(),
                           std::find(argv, argv + argc, std::string_view("--json")) != argv + argc);
    return output.end(static_cast<int>(no_memory().exit()));
  }
}

}  // namespace

int main(int argc, char** argv) { return kesu::with_enough_stack(guarded_run, argc, argv); }
