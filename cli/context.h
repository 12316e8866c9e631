// What every command shares: global options, the environment, output.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "app/vault.h"
#include "base/error.h"
#include "base/json.h"

namespace kesu::cli {

// Rows under a heading, aligned; for terminals and pipes alike.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : rows_{std::move(heading)} {}
  void add(std::vector<std::string> row);  // cells as printable() shows them
  bool empty() const { return rows_.size() < 2; }
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};
// Text that cannot steer a terminal: control characters, direction marks and what is no UTF-8 stand as \x1b,
// \u{202e}, \xff; with `lines`, line feeds stay. Names of files come from anywhere.
std::string printable(std::string_view text, bool lines);
// Columns that a text takes on a terminal (wide characters take two).
size_t display_width(std::string_view text);

struct Context {
  bool json = false, quiet = false, yes = false, verbose = false;
  std::string vault_option;
  // Who answers for the command, where the vault's rules ask for that (else KESU_OPERATOR,
  // KESU_OPERATOR_KEY).
  std::string operator_option, operator_key_option;
  Exit exit = Exit::done;

  Environment& env();
  std::string vault_directory() const;
  // Opens the vault; the object lives until the command ends. For writing: the clock is looked at first.
  Vault& open(Access access);
  // What was typed: the command's words, and what stands behind them. Called once, before env().
  void begin_command(CLI::App& app, const std::string& words);
  // Sets up the trace (--verbose, KESU_LOG) and names the command in it: its words, not their values.
  void begin_trace(const std::string& words) const;
  void close();  // saves registers

  // One document with --json; else `text`, unless --quiet.
  void show(const Json& document, const std::string& text);
  // What --export wrote, and how it is signed elsewhere.
  void show_statement(const std::string& person, const std::string& file, const std::string& name_space);
  void say(const std::string& line);  // stdout, not with --json or --quiet
  // Asks on the terminal; with --yes it is yes. Throws not_confirmed when there is no terminal or the answer
  // is no.
  void confirm(const std::string& question);
  // A progress function for long work: on a terminal's stderr, after a second; silent otherwise.
  std::function<void(int64_t, int64_t)> progress(const std::string& what);

 private:
  CommandOrder command_;
  std::unique_ptr<Environment> env_;
  std::unique_ptr<Vault> vault_;
};

// Runs `body` as the command's action.
void on_run(CLI::App* command, std::function<void()> body);

std::string human_bytes(int64_t n);        // "3.81 TiB"
std::string grouped(int64_t n);            // "1,204,551"
std::string brief(const std::string& id);  // identifiers as people see them
std::string first_line(const std::string& text);
std::string program_path();  // of this kesu

// The failure of a command, on stderr for people, on stdout with --json.
void print_error(const Error& error, bool json);

void setup_vault(CLI::App& app, Context& context);   // init
void setup_status(CLI::App& app, Context& context);  // status, doctor, vault close
void setup_demo(CLI::App& app, Context& context);
void setup_provider(CLI::App& app, Context& context);
void setup_key(CLI::App& app, Context& context);
void setup_copy(CLI::App& app, Context& context);
void setup_hold(CLI::App& app, Context& context);
void setup_operator(CLI::App& app, Context& context);  // operator, vault rules
void setup_dataset(CLI::App& app, Context& context);
void setup_seal(CLI::App& app, Context& context);
void setup_open(CLI::App& app, Context& context);       // seal, open
void setup_inventory(CLI::App& app, Context& context);  // info, inventory
void setup_rewrap(CLI::App& app, Context& context);
void setup_reseal(CLI::App& app, Context& context);
void setup_erase(CLI::App& app, Context& context);
void setup_certificate(CLI::App& app, Context& context);  // certificate, verify, trust
void setup_ledger(CLI::App& app, Context& context);
void setup_policy(CLI::App& app, Context& context);

}  // namespace kesu::cli
