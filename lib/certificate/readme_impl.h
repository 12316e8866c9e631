// README.txt of a bundle. For lib/certificate itself.
#pragma once
#include <string>

#include "certificate/bundle.h"

namespace kesu {

// MANIFEST has its digest, so a bundle that is written again has the text that it was issued with: texts of
// before stay. 1: until releases of holds had lines of their own, and statements of people whose time has
// ended were checked as of now. 2: until it said what each line should print, and checked who the officers
// are.
inline constexpr int kReadmeVersion = 3;

struct ReadmeFacts {
  std::string certificate, organisation;
  bool under_authority = false;  // the signer's certificate is an authority's
  bool more_acts = false;        // more than requests and approvals
  bool certificates = false;     // somebody signs with one
  bool commands = false;         // there are signed commands
  bool releases = false;         // and releases of holds
  bool limited = false;          // allowed_signers says from or until when
  bool waited = false;           // entries of time-stamps of the waiting period
  bool stamped = false;          // the signature is time-stamped
};
// As far as files say it, in those of a draft or of a whole bundle.
ReadmeFacts readme_facts(const BundleFiles& files, const std::string& certificate,
                         const std::string& organisation);
std::string readme_text(const ReadmeFacts& facts, int version = kReadmeVersion);

}  // namespace kesu
