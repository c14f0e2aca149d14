// Checking the signature of an InRelease file with the tool that the host has for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::debian {

/// The programs that can check signatures, best first; names are looked up on PATH.
struct VerifierPrograms {
  std::string gpgv = "gpgv";
  std::string sqv = "sqv";
  std::string temp_dir = "/tmp";
};

/// What may sign. At least one key must be in it.
struct TrustedKeys {
  std::vector<std::string> keyrings;      // Files, binary or armored; missing ones are passed over.
  std::string inline_key;                 // Armored; "" for none.
  std::vector<std::string> fingerprints;  // When given, only these of the keyrings' keys count.
};

/// A cleartext-signed file in its two parts.
struct ClearSigned {
  std::string text;       // The signed text as written, dashes unescaped, "\n" line ends.
  std::string signature;  // Armored.
};

/// The part that is signed, and only if a trusted key signed it: what stands before or after it in
/// the file is not returned. Runs `gpgv`, or `sqv` where there is no gpgv.
///
/// Errors: denied (bad signature, or none by a trusted key; names the key), unavailable (neither
/// program is installed, or no keyring exists), corrupt (not a cleartext-signed file).
Result<std::string> verify_clear_signed(std::string_view file, const TrustedKeys& keys,
                                        const VerifierPrograms& programs);

/// Errors: corrupt. The parts are not verified.
Result<ClearSigned> split_clear_signed(std::string_view file);
/// The packets of an armored key file; several blocks give all of them, one after the other.
/// Errors: corrupt.
Result<std::string> dearmor(std::string_view armored);

}  // namespace kist::debian
