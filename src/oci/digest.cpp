#include "oci/digest.h"

#include <openssl/evp.h>

#include "base/text.h"

namespace kist::oci {
namespace {

constexpr std::string_view kPrefix = "sha256:";

uint8_t nibble(char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); }

// Fetched once: EVP_sha256() makes OpenSSL 3 look the algorithm up again for each message, which
// costs a third of the speed on small files.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return method;
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return Error(Code::invalid, "digest '{}' has no ':' after the algorithm", printable(text))
        .hint("write it as `sha256:<64 hex digits>`");
  }
  if (text.substr(0, colon + 1) != kPrefix) {
    return Error(Code::unsupported, "digest algorithm '{}' is not supported, only sha256",
                 printable(text.substr(0, colon)));
  }
  return parse_hex(text.substr(kPrefix.size()));
}

Result<Digest> Digest::parse_hex(std::string_view hex) {
  // Upper case is refused, not folded: two spellings of one digest would be two file names.
  const size_t bad = hex.find_first_not_of("0123456789abcdef");
  if (bad != std::string_view::npos) {
    return Error(Code::invalid, "digest '{}' has '{}' at offset {}, not a lower-case hex digit",
                 printable(hex), printable(hex.substr(bad, 1)), bad);
  }
  if (hex.size() != kBytes * 2) {
    return Error(Code::invalid, "digest '{}' has {} hex digits, want {}", printable(hex),
                 hex.size(), kBytes * 2);
  }
  Bytes bytes;
  for (size_t i = 0; i < kBytes; ++i)
    bytes[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  return Digest(bytes);
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(kBytes * 2, '0');
  for (size_t i = 0; i < kBytes; ++i) {
    out[2 * i] = kDigits[bytes_[i] >> 4];
    out[2 * i + 1] = kDigits[bytes_[i] & 15];
  }
  return out;
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  KIST_ASSERT(EVP_DigestInit_ex2(state_->context, sha256_method(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  KIST_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest::Bytes bytes;
  KIST_ASSERT(EVP_DigestFinal_ex(state_->context, bytes.data(), nullptr) == 1);
  KIST_ASSERT(EVP_DigestInit_ex2(state_->context, nullptr, nullptr) == 1);
  return Digest(bytes);
}

Digest Sha256::of(std::string_view bytes) {
  // One hasher a thread: making a context costs more than hashing a small file.
  thread_local Sha256 hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace kist::oci
