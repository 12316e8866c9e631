// The proving process, as its parent sees it: submitting, waiting.
#include "provider/prover.h"

#include "base/json.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "provider/prover_impl.h"

namespace kesu {

namespace {
constexpr size_t kFlush = 2u << 10;  // bytes that are collected before they are sent
}  // namespace

std::unique_ptr<Prover> Prover::start(const std::string& program, const std::string& uri,
                                      const ProviderIdentity& identity, const std::vector<KeyRef>& keys,
                                      const LoginProcess::Waits& waits) {
  Json refs = Json::array({});
  for (const KeyRef& ref : keys) refs.push(ref.to_json());
  std::unique_ptr<Prover> made(new Prover);
  // Not a key of any data: it only makes the tags of one run worthless in another.
  made->tag_key_ = system_random().secret(proof_wire::kTagKey);
  made->process_ = LoginProcess::start(program, "prove", uri, identity, Json::object({{"keys", refs}}),
                                       made->tag_key_.reveal(), waits);
  return made->process_ ? std::move(made) : nullptr;
}

void Prover::flush() {
  if (out_.empty()) return;
  process_->send(out_);
  out_.clear();
}

void Prover::submit(size_t key, Claim& claim) {
  std::lock_guard lock(send_);
  if (process_->dead()) {
    claim.verdict = Verdict::none;
    return;
  }
  proof_wire::put_claim(out_, static_cast<uint16_t>(key), claim.wrap);
  {
    std::lock_guard answers(answers_);
    waiting_.push_back(&claim);
  }
  if (out_.size() < kFlush) return;
  flush();
  // Answers are taken now and then: a process that cannot get rid of them would take nothing more.
  // Whoever waits takes them, too.
  if (std::unique_lock reading(reading_, std::try_to_lock); reading.owns_lock()) take_answers();
}

void Prover::take_answers() {
  std::lock_guard lock(answers_);
  uint8_t answers[4096];
  for (size_t n; (n = process_->receive(answers)) > 0;) {
    if (n > waiting_.size()) {
      process_->give_up();
      break;
    }
    for (size_t i = 0; i < n; ++i) {
      waiting_.front()->verdict = answers[i] == proof_wire::kProven ? Verdict::proven : Verdict::none;
      waiting_.pop_front();
    }
  }
  if (!process_->dead()) return;
  for (Claim* claim : waiting_) claim->verdict = Verdict::none;
  waiting_.clear();
}

void Prover::wait(Claim& claim) {
  if (claim.verdict != Verdict::open) return;
  {
    std::lock_guard lock(send_);
    flush();
  }
  while (claim.verdict == Verdict::open) {
    // One thread at a time waits and takes: an answer that another one took would be waited for in vain.
    // Others submit meanwhile.
    std::lock_guard reading(reading_);
    if (claim.verdict != Verdict::open) break;
    if (!process_->dead()) (void)process_->readable();
    take_answers();
  }
}

}  // namespace kesu
