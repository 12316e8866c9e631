// kesu dataset add, update, list, show
#include "../context.h"
#include "app/datasets.h"
#include "app/key_states.h"
#include "app/strength.h"
#include "dataset_group.h"

namespace kesu::cli {

namespace {
void add_on_off(CLI::App* cmd, std::string& value, const std::string& help) {
  cmd->add_option("--fingerprints", value, help)->check(CLI::IsMember({"on", "off"}));
}
// nullopt: it was not said.
std::optional<bool> on_off(const std::string& value) {
  return value.empty() ? std::nullopt : std::optional<bool>(value == "on");
}
}  // namespace

void setup_dataset(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("dataset", "what is protected and erased as one");
  group->require_subcommand(1);
  auto d = std::make_shared<DatasetDraft>();
  auto name = std::make_shared<std::string>();
  auto header_only = std::make_shared<bool>(false);
  auto fingerprints = std::make_shared<std::string>();

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
  cmd->add_option("--service", d->service, "the provider's service that it lies in");
  cmd->add_option("--contact", d->contact, "whom to ask about it, and how");
  cmd->add_option("--asset", d->asset, "the number under which your organisation keeps it");
  cmd->add_option("--destination", d->destination, "what becomes of what is sealed after an erasure");
  cmd->add_option("--location", d->locations, "where it will lie; repeated");
  cmd->add_option("--unreadable-until", d->unreadable_until, "a year, or open-ended (default)");
  cmd->add_option("--algorithm", d->algorithm,
                  "AES-256-GCM (default), ChaCha20-Poly1305, Camellia-256-GCM, AES-128-GCM");
  cmd->add_option("--chunk", d->chunk, "chunk size in bytes");
  cmd->add_flag("--header-only", *header_only,
                "do not bind payloads to the inventory: faster sealing, weaker cover");
  add_on_off(cmd, *fingerprints,
             "keyed fingerprints of the plaintext, taken at sealing, for kesu inventory scan: on or off "
             "(on in profile high)");
  cmd->add_option("--plaintext-history", d->history,
                  "did plaintext of this exist outside? none, disposed, unknown (default)");
  cmd->add_option("--history-by", d->history_by, "who says so");
  cmd->add_option("--history-detail", d->history_detail, "where, when, how it was disposed of");
  on_run(cmd, [&c, d, header_only, fingerprints] {
    d->bind_payload = !*header_only;
    d->fingerprints = on_off(*fingerprints);
    Vault& v = c.open(Access::write);
    std::string id = add_dataset(v, *d);
    const DatasetRecord& r = v.state().datasets.at(id);
    c.show(dataset_json(v.state(), r), "Dataset " + r.name + " (" + brief(id) + "), sealed under " +
                                           v.state().keys.at(r.key).name + "\nnext   kesu seal " + r.name +
                                           " SRC… -o DIR\n");
  });

  struct Update {
    DatasetChanges changes;
    std::string reason, keep_as, fingerprints;
    bool not_kept = false;
  };
  auto u = std::make_shared<Update>();
  cmd = group->add_subcommand("update",
                              "change what is known of a dataset, or the key that new objects are sealed "
                              "under\n\n  kesu dataset update loans-2019 --key loans-hsm --reason \"moved to "
                              "the HSM\"");
  cmd->add_option("NAME", *name)->required();
  cmd->add_option("--key", u->changes.key, "another key; kesu rewrap then moves what is sealed");
  cmd->add_option("--unreadable-until", u->changes.unreadable_until, "a year, or open-ended");
  cmd->add_option("--owner", u->changes.owner);
  cmd->add_option("--class", u->changes.data_class);
  cmd->add_option("--region", u->changes.region);
  cmd->add_option("--contract", u->changes.contract);
  cmd->add_option("--retention", u->changes.retention);
  cmd->add_option("--service", u->changes.service);
  cmd->add_option("--contact", u->changes.contact);
  cmd->add_option("--asset", u->changes.asset);
  cmd->add_option("--destination", u->changes.destination);
  cmd->add_option("--location", u->changes.locations, "where it lies; repeated; all of them anew");
  auto* keep = cmd->add_option("--keep-as", u->keep_as,
                               "its objects are to be kept in this dataset: no erasure before they are there "
                               "(kesu reseal)");
  cmd->add_flag("--not-kept", u->not_kept, "they are not")->excludes(keep);
  add_on_off(cmd, u->fingerprints, "fingerprints of what is sealed from here on: on or off");
  cmd->add_option("--reason", u->reason, "why; it stays in the ledger")->required();
  on_run(cmd, [&c, u, name] {
    u->changes.fingerprints = on_off(u->fingerprints);
    if (u->not_kept || !u->keep_as.empty()) u->changes.keep_as = u->keep_as;
    Vault& v = c.open(Access::write);
    const std::string id = v.find_dataset(*name).id;
    update_dataset(v, id, u->changes, u->reason);
    v.checkpoint();
    const DatasetRecord& r = v.state().datasets.at(id);
    bool sealed = u->changes.key && r.objects() != 0;
    c.show(dataset_json(v.state(), r),
           "Dataset " + r.name + " is changed" +
               (u->changes.key ? "; new objects are sealed under " + v.state().keys.at(r.key).name : "") +
               "\n" + (sealed ? "next   kesu rewrap " + r.name + " moves the older ones\n" : ""));
  });

  cmd = group->add_subcommand("list", "all datasets");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"NAME", "ID", "STATE", "OBJECTS", "SIZE", "KEY", "STRENGTH", "CLASS", "CONTRACT"});
    StrengthJudge judge(v.state(), year_of(v.now()));
    for (auto& [id, r] : v.state().datasets) {
      Json j = dataset_json(v.state(), r);
      judge.add_to(j, r);
      t.add({r.name, brief(id), r.state, grouped(r.objects()), human_bytes(r.bytes()), j.str("key"),
             std::to_string(j.at("strength").num("bits")) +
                 (j.at("reseal_due").flag("due") ? ", RESEAL DUE" : ""),
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
    StrengthJudge(v.state(), year_of(v.now())).add_to(j, r);
    Json batches(Json::Array{});
    std::string text = r.name + "   " + brief(r.id) + "   " + r.state +
                       (r.erasure.empty() ? "" : " by " + brief(r.erasure)) + "\n";
    text += "  objects    " + grouped(r.objects()) + "   " + human_bytes(r.bytes()) + "\n  key        " +
            j.str("key") + "\n";
    const Json& strength = j.at("strength");
    text += "  strength   " + std::to_string(strength.num("bits")) +
            " bits, weakest: " + strength.str("weakest") +
            (j.at("reseal_due").flag("due") ? "   RESEAL DUE" : "") + "   (kesu dataset inspect " + r.name +
            ")\n";
    for (auto& [member, value] : r.settings.as_object())
      if (value.is_string() && member != "name" && member != "key" && !value.as_string().empty())
        text += "  " + member +
                std::string(std::max<size_t>(1, 11 - std::min<size_t>(10, member.size())), ' ') +
                value.as_string() + "\n";
    text += "  history    plaintext elsewhere: " + r.settings.at("plaintext_history").str("statement") + "\n";
    std::map<std::string, int64_t> under;  // version -> objects whose newest slot is under it
    for (const BatchRecord& b : r.batches.all()) {
      Json on = Json::object({});
      for (auto& [version, n] : b.under()) {
        on.set(version, n);
        if (b.state == "sealed") under[version] += n;
      }
      batches.push(Json::object({{"id", b.id},
                                 {"state", b.state},
                                 {"objects", b.n},
                                 {"bytes", b.bytes},
                                 {"key_version", b.version},
                                 {"on", on},
                                 {"root", b.root}}));
      text += "  batch      " + brief(b.id) + "   " + b.state + "   " + grouped(b.n) +
              " objects   sealed under " + version_name(v.state(), *v.state().version(b.version)) + "\n";
    }
    Json versions = Json::object({});
    for (auto& [version, n] : under) {
      versions.set(version, n);
      const VersionRecord& k = *v.state().version(version);
      text +=
          "  now under  " + version_name(v.state(), k) + "   " + k.state + "   " + grouped(n) + " objects\n";
    }
    j.set("settings", r.settings).set("batches", batches).set("under", versions);
    c.show(j, text);
  });
  setup_dataset_inspect(*group, c);
}

}  // namespace kesu::cli
