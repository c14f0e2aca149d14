#include "registry_server/content_digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/text.h"

namespace kist::registry_server {
namespace {

size_t hex_digits(Algorithm algorithm) { return algorithm == Algorithm::sha256 ? 64 : 128; }

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Result<ContentDigest> ContentDigest::parse(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Error(Code::invalid, "'{}' is not a digest: it has no ':'", printable(text));
  return parse(text.substr(0, colon), text.substr(colon + 1));
}

Result<ContentDigest> ContentDigest::parse(std::string_view algorithm, std::string_view hex) {
  if (algorithm != "sha256" && algorithm != "sha512")
    return Error(Code::unsupported, "digests by '{}' are not supported, only sha256 and sha512", printable(algorithm));
  const Algorithm which = algorithm == "sha256" ? Algorithm::sha256 : Algorithm::sha512;
  // Upper case is refused, not folded: two spellings of one digest would be two names.
  if (hex.size() != hex_digits(which) || !std::all_of(hex.begin(), hex.end(), is_hex))
    return Error(Code::invalid, "'{}:{}' is not a digest: want {} digits of 0-9 and a-f", algorithm, printable(hex),
                 hex_digits(which));
  return ContentDigest(which, std::string(hex));
}

std::string ContentDigest::string() const { return fmt::format("{}:{}", algorithm_name(), hex_); }

struct Hasher::State {
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  ~State() { ::EVP_MD_CTX_free(context); }
};

Hasher::Hasher(Algorithm algorithm) : algorithm_(algorithm), state_(std::make_unique<State>()) {
  const EVP_MD* kind = algorithm == Algorithm::sha256 ? ::EVP_sha256() : ::EVP_sha512();
  KIST_ASSERT(::EVP_DigestInit_ex(state_->context, kind, nullptr) == 1);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::string_view bytes) {
  KIST_ASSERT(::EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

ContentDigest Hasher::finish() {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  KIST_ASSERT(::EVP_DigestFinal_ex(state_->context, raw, &size) == 1);
  std::string hex;
  hex.reserve(size * 2);
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (unsigned i = 0; i < size; ++i) {
    hex += kDigits[raw[i] >> 4];
    hex += kDigits[raw[i] & 15];
  }
  return ContentDigest(algorithm_, std::move(hex));
}

ContentDigest Hasher::of(Algorithm algorithm, std::string_view bytes) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace kist::registry_server
