// The kesu program: parse, call one use case, print. The only place that catches.
#include <algorithm>
#include <csignal>
#include <iostream>

#include "base/secret.h"
#include "context.h"

namespace {

int run(int argc, char** argv) {
  using namespace kesu;
  using namespace kesu::cli;
  Context context;
  CLI::App app{"kesu keeps keys from birth to proven death, and proves that data is gone.", "kesu"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string(kProgram));
  app.add_option("--vault", context.vault_option,
                 "the vault's directory (else KESU_VAULT, else the nearest kesu.toml upwards)");
  app.add_flag("--json", context.json, "one JSON document on standard output");
  app.add_flag("--quiet,-q", context.quiet, "say nothing but errors");
  app.add_flag("--yes,-y", context.yes, "answer yes where it asks");
  setup_vault(app, context);
  setup_demo(app, context);
  setup_provider(app, context);
  setup_key(app, context);
  setup_dataset(app, context);
  setup_seal(app, context);
  setup_erase(app, context);
  setup_certificate(app, context);
  setup_ledger(app, context);
  setup_policy(app, context);
  // Options of the program may stand behind any command.
  std::function<void(CLI::App*)> let_through = [&](CLI::App* a) {
    for (CLI::App* sub : a->get_subcommands({})) {
      sub->fallthrough();
      let_through(sub);
    }
  };
  let_through(&app);

  auto failed = [&](const Error& e) {
    print_error(e, context.json);
    return static_cast<int>(e.exit());
  };
  try {
    app.parse(argc, argv);
    context.close();
    return static_cast<int>(context.exit);
  } catch (const CLI::CallForVersion& e) {
    // Thrown before the flags behind it are looked at.
    if (std::find(argv, argv + argc, std::string_view("--json")) == argv + argc) return app.exit(e);
    size_t space = kProgram.find(' ');
    std::cout << Json::object(
                     {{"program", kProgram.substr(0, space)}, {"version", kProgram.substr(space + 1)}})
                     .canonical()
              << "\n";
    return 0;
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    CLI::App* at = &app;
    std::string words = "kesu";
    while (!at->get_subcommands().empty()) {
      at = at->get_subcommands().front();
      words += " " + at->get_name();
    }
    return failed(Error(Code::usage, e.what()).next(words + " --help"));
  } catch (const Error& e) {
    return failed(e);
  } catch (const std::bad_alloc&) {
    return failed(Error(Code::failed, "out of memory"));
  } catch (const std::exception& e) {
    return failed(Error(Code::failed, "an unexpected failure")
                      .cause(e.what())
                      .next("please report it with the command that you typed"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  kesu::harden_process();
  std::signal(SIGPIPE, SIG_IGN);
  return run(argc, argv);
}
