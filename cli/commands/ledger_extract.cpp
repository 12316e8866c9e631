// kesu ledger extract
#include "app/ledger_extract.h"
#include "base/files.h"
#include "ledger_group.h"

namespace kesu::cli {

void setup_ledger_extract(CLI::App& group, Context& c) {
  auto out = std::make_shared<std::string>();
  CLI::App* cmd = group.add_subcommand(
      "extract",
      "all headers and the checkpoint over them, for readers of a certificate: kesu verify BUNDLE --ledger "
      "EXTRACT says whether it was withdrawn since\n\n  kesu ledger extract -o ledger-2027.zip");
  cmd->add_option("-o,--out", *out, "a new directory, or a new file whose name ends in .zip")->required();
  on_run(cmd, [&c, out] {
    Vault& v = c.open(Access::write);
    const SavedCheckpoint checkpoint = write_ledger_extract(v, *out);
    c.show(Json::object({{"extract", absolute_path(*out)}, {"size", checkpoint.size}}),
           "The headers of " + grouped(static_cast<int64_t>(checkpoint.size)) + " entries in " + *out +
               "\nnext   kesu verify BUNDLE --ledger " + *out + "\n");
  });
}

}  // namespace kesu::cli
