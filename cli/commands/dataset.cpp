// kesu dataset add, list, show
#include "../context.h"
#include "app/datasets.h"

namespace kesu::cli {

void setup_dataset(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("dataset", "what is protected and erased as one");
  group->require_subcommand(1);
  auto d = std::make_shared<DatasetDraft>();
  auto name = std::make_shared<std::string>();
  auto header_only = std::make_shared<bool>(false);

  CLI::App* cmd = group->add_subcommand("add",
                                        "register a dataset\n\n  kesu dataset add loans-2019 --key loans "
                                        "--contract CLOUD-2023-11 --class confidential");
  cmd->add_option("NAME", d->name)->required();
  cmd->add_option("--key", d->key, "the key that it is sealed under")->required();
  cmd->add_option("--class", d->data_class, "confidentiality class");
  cmd->add_option("--region", d->region);
  cmd->add_option("--owner", d->owner);
  cmd->add_option("--contract", d->contract);
  cmd->add_option("--retention", d->retention);
  cmd->add_option("--location", d->locations, "where it will lie; repeated");
  cmd->add_option("--unreadable-until", d->unreadable_until, "a year, or open-ended (default)");
  cmd->add_option("--algorithm", d->algorithm,
                  "AES-256-GCM (default), ChaCha20-Poly1305, Camellia-256-GCM, AES-128-GCM");
  cmd->add_option("--chunk", d->chunk, "chunk size in bytes");
  cmd->add_flag("--header-only", *header_only,
                "do not bind payloads to the inventory: faster sealing, weaker cover");
  cmd->add_option("--plaintext-history", d->history,
                  "did plaintext of this exist outside? none, disposed, unknown (default)");
  cmd->add_option("--history-by", d->history_by, "who says so");
  cmd->add_option("--history-detail", d->history_detail, "where, when, how it was disposed of");
  on_run(cmd, [&c, d, header_only] {
    d->bind_payload = !*header_only;
    Vault& v = c.open(Access::write);
    std::string id = add_dataset(v, *d);
    const DatasetRecord& r = v.state().datasets.at(id);
    c.show(dataset_json(v.state(), r), "Dataset " + r.name + " (" + brief(id) + "), sealed under " +
                                           v.state().keys.at(r.key).name + "\nnext   kesu seal " + r.name +
                                           " SRC… -o DIR\n");
  });

  cmd = group->add_subcommand("list", "all datasets");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"NAME", "ID", "STATE", "OBJECTS", "SIZE", "KEY", "CLASS", "CONTRACT"});
    for (auto& [id, r] : v.state().datasets) {
      Json j = dataset_json(v.state(), r);
      t.add({r.name, brief(id), r.state, grouped(r.objects()), human_bytes(r.bytes()), j.str("key"),
             j.str("class"), r.settings.str_or("contract", "")});
      out.push(std::move(j));
    }
    c.show(out, t.str());
  });

  cmd = group->add_subcommand("show", "one dataset: settings, batches, keys");
  cmd->add_option("DATASET", *name)->required();
  on_run(cmd, [&c, name] {
    Vault& v = c.open(Access::read);
    const DatasetRecord& r = v.find_dataset(*name);
    Json j = dataset_json(v.state(), r);
    Json batches(Json::Array{});
    std::string text = r.name + "   " + brief(r.id) + "   " + r.state +
                       (r.erasure.empty() ? "" : " by " + brief(r.erasure)) + "\n";
    text += "  objects    " + grouped(r.objects()) + "   " + human_bytes(r.bytes()) + "\n  key        " +
            j.str("key") + "\n";
    for (auto& [member, value] : r.settings.as_object())
      if (value.is_string() && member != "name" && member != "key" && !value.as_string().empty())
        text += "  " + member +
                std::string(std::max<size_t>(1, 11 - std::min<size_t>(10, member.size())), ' ') +
                value.as_string() + "\n";
    text += "  history    plaintext elsewhere: " + r.settings.at("plaintext_history").str("statement") + "\n";
    for (const BatchRecord& b : r.batches) {
      batches.push(Json::object({{"id", b.id},
                                 {"state", b.state},
                                 {"objects", b.n},
                                 {"bytes", b.bytes},
                                 {"key_version", b.version},
                                 {"root", b.root}}));
      text += "  batch      " + brief(b.id) + "   " + b.state + "   " + grouped(b.n) + " objects   under " +
              brief(b.version) + "\n";
    }
    j.set("settings", r.settings).set("batches", batches);
    c.show(j, text);
  });
}

}  // namespace kesu::cli
