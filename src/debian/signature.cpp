#include "debian/signature.h"

#include <algorithm>

#include "base/base64.h"
#include "base/text.h"
#include "os/child.h"
#include "os/files.h"

namespace kist::debian {
namespace {

constexpr std::string_view kMessage = "-----BEGIN PGP SIGNED MESSAGE-----";
constexpr std::string_view kSignature = "-----BEGIN PGP SIGNATURE-----";
constexpr std::string_view kSignatureEnd = "-----END PGP SIGNATURE-----";
constexpr std::string_view kKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view kKeyEnd = "-----END PGP PUBLIC KEY BLOCK-----";
constexpr uint64_t kMaxKeyringBytes = 16u << 20;

Result<std::string> load_keys(const TrustedKeys& keys) {
  std::string all;
  for (const std::string& path : keys.keyrings) {
    if (!os::exists(path)) continue;
    const auto read = os::read_file(path, kMaxKeyringBytes);
    if (!read) continue;  // Unreadable for us: as if it were not there, as apt does.
    if (read->find(kKey) == std::string::npos) {
      all += *read;
    } else {
      all += TRY(dearmor(*read), "reading the keyring '{}'", path);
    }
  }
  if (!keys.inline_key.empty()) all += TRY(dearmor(keys.inline_key));
  if (!all.empty()) return all;
  return Error(Code::unavailable, "no archive keyring found, looked for {}",
               keys.keyrings.empty() ? "none" : printable(fmt::format("{}", fmt::join(keys.keyrings, ", "))))
      .hint("install the package `debian-archive-keyring`");
}

bool allowed(std::string_view fingerprints_line, const TrustedKeys& keys) {
  if (keys.fingerprints.empty()) return true;
  return std::any_of(keys.fingerprints.begin(), keys.fingerprints.end(),
                     [&](const std::string& wanted) {
                       return fingerprints_line.find(wanted) != std::string_view::npos;
                     });
}

// gpgv's exit status is not enough: it is not 0 when one of several signatures is by a key that we
// do not have, which is how an archive changes its keys. apt decides by the status lines too.
struct Verdict {
  bool good = false;
  std::string reason;
};

Verdict read_status(std::string_view status, const TrustedKeys& keys) {
  Verdict verdict;
  bool bad = false;
  for (std::string_view line : lines(status)) {
    if (!line.starts_with("[GNUPG:] ")) continue;
    line.remove_prefix(9);
    if (line.starts_with("VALIDSIG ")) verdict.good = verdict.good || allowed(line, keys);
    if (line.starts_with("BADSIG ")) {
      bad = true;
      verdict.reason = "the signature does not fit the text: " + printable(line.substr(7));
    }
    if (verdict.reason.empty() && line.starts_with("NO_PUBKEY "))
      verdict.reason = "signed by the key " + printable(line.substr(10)) + ", which is not trusted";
    if (verdict.reason.empty() && line.starts_with("EXPKEYSIG "))
      verdict.reason = "the signing key has expired: " + printable(line.substr(10));
    if (verdict.reason.empty() && line.starts_with("REVKEYSIG "))
      verdict.reason = "the signing key was revoked: " + printable(line.substr(10));
  }
  // An expired or revoked key still gives VALIDSIG, so GOODSIG has to be there as well.
  if (status.find("[GNUPG:] GOODSIG ") == std::string_view::npos) verdict.good = false;
  if (bad) verdict.good = false;
  if (verdict.reason.empty()) verdict.reason = "no signature by a trusted key";
  return verdict;
}

Result<std::string> run_gpgv(const std::string& program, const std::string& folder,
                             const TrustedKeys& keys) {
  const os::Output output = TRY(os::run({.args = {program, "--status-fd", "2", "--keyring",
                                                  os::join(folder, "keys.gpg"), "--output", "-",
                                                  os::join(folder, "InRelease")},
                                         .env = {"LC_ALL=C", "GNUPGHOME=" + folder},
                                         .working_dir = folder,
                                         .input = ""}));
  const Verdict verdict = read_status(output.err, keys);
  if (!verdict.good) return Error(Code::denied, "{}", verdict.reason);
  if (output.out.empty()) return Error(Code::corrupt, "the signed part is empty");
  return output.out;
}

Result<std::string> run_sqv(const std::string& program, const std::string& folder,
                            ClearSigned parts, const TrustedKeys& keys) {
  TRY(os::write_file_atomically(os::join(folder, "text"), parts.text));
  TRY(os::write_file_atomically(os::join(folder, "signature"), parts.signature));
  const os::Output output = TRY(os::run({.args = {program, "--keyring", os::join(folder, "keys.gpg"),
                                                  os::join(folder, "signature"),
                                                  os::join(folder, "text")},
                                         .env = {"LC_ALL=C", "HOME=" + folder},
                                         .working_dir = folder,
                                         .input = ""}));
  // sqv prints the fingerprint of each key whose signature is good.
  if (output.status != 0 || !allowed(output.out, keys))
    return Error(Code::denied, "no signature by a trusted key: {}", printable(trim(output.err)));
  return std::move(parts.text);
}

}  // namespace

Result<ClearSigned> split_clear_signed(std::string_view file) {
  ClearSigned out;
  enum { before, headers, text, signature, after } state = before;
  bool first = true;
  for (const std::string_view line : lines(file)) {
    if (state == before && trim(line) == kMessage) {
      state = headers;
    } else if (state == before && !trim(line).empty()) {
      return Error(Code::corrupt, "there is text before the signed part");
    } else if (state == headers && trim(line).empty()) {
      state = text;
    } else if (state == text && trim(line) == kSignature) {
      state = signature;
      out.signature = std::string(kSignature) + "\n";
    } else if (state == text) {
      // The newline before the signature is not part of the text.
      if (!first) out.text += '\n';
      first = false;
      out.text += line.starts_with("- ") ? line.substr(2) : line;
    } else if (state == signature) {
      out.signature += line;
      out.signature += '\n';
      if (trim(line) == kSignatureEnd) state = after;
    } else if (state == after && !trim(line).empty()) {
      return Error(Code::corrupt, "there is text after the signature");
    }
  }
  if (state != after) return Error(Code::corrupt, "not a cleartext-signed file");
  return out;
}

Result<std::string> dearmor(std::string_view armored) {
  std::string out;
  std::string body;
  bool inside = false;
  bool in_headers = false;
  for (const std::string_view raw : lines(armored)) {
    const std::string_view line = trim(raw);
    if (line == kKey) {
      inside = in_headers = true;
      body.clear();
    } else if (line == kKeyEnd && inside) {
      const auto bytes = decode_base64(body);
      if (!bytes) return Error(Code::corrupt, "key file has a byte that is not base64");
      out += *bytes;
      inside = false;
    } else if (inside && in_headers) {
      // Headers end at an empty line; some writers leave both out.
      if (line.empty() || line.find(": ") == std::string_view::npos) in_headers = false;
      if (!in_headers) body += line;
    } else if (inside && !line.starts_with('=')) {  // "=" begins the checksum.
      body += line;
    }
  }
  if (out.empty() || inside) return Error(Code::corrupt, "not an armored public key");
  return out;
}

Result<std::string> verify_clear_signed(std::string_view file, const TrustedKeys& keys,
                                        const VerifierPrograms& programs) {
  ClearSigned parts = TRY(split_clear_signed(file));
  const std::string keyring = TRY(load_keys(keys));
  const os::TempDir folder = TRY(os::TempDir::make(programs.temp_dir, "signature."));
  TRY(os::write_file_atomically(os::join(folder.path(), "keys.gpg"), keyring));
  TRY(os::write_file_atomically(os::join(folder.path(), "InRelease"), file));
  auto verified = run_gpgv(programs.gpgv, folder.path(), keys);
  if (verified || verified.error().code() != Code::not_found) return verified;
  verified = run_sqv(programs.sqv, folder.path(), std::move(parts), keys);
  if (verified || verified.error().code() != Code::not_found) return verified;
  return Error(Code::unavailable, "neither 'gpgv' nor 'sqv' is installed, so the archive's "
                                  "signature cannot be checked")
      .hint("`apt-get install gpgv`");
}

}  // namespace kist::debian
