#include "registry_server/token_keys.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "os/files.h"

namespace kist::registry_server {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxFile = 1u << 20;
constexpr size_t kMaxKeys = 64;   // Each is tried for a token that names none.
constexpr size_t kMaxChain = 8;
constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
constexpr size_t kCoordinate = 32;  // Bytes, of P-256.

template <auto free>
struct Freed {
  template <class T>
  void operator()(T* it) const { free(it); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using KeyPtr = std::shared_ptr<EVP_PKEY>;

KeyPtr own(EVP_PKEY* key) { return {key, ::EVP_PKEY_free}; }

std::string sha256(std::string_view bytes) {
  unsigned char raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  KIST_ASSERT(::EVP_Digest(bytes.data(), bytes.size(), raw, &size, ::EVP_sha256(), nullptr) == 1);
  return {reinterpret_cast<const char*>(raw), size};
}

std::string bytes_of(const BIGNUM* number, size_t width) {
  std::string out(std::max<size_t>(width, static_cast<size_t>(BN_num_bytes(number))), '\0');
  ::BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  return out;
}

std::string parameter(const EVP_PKEY* key, const char* name, size_t width) {
  BIGNUM* raw = nullptr;
  if (::EVP_PKEY_get_bn_param(key, name, &raw) != 1) return "";
  const Number number(raw);
  return encode_base64_url(bytes_of(raw, width));
}

// RFC 7638: the hash of the key as a JSON Web Key, members sorted.
std::string thumbprint(const EVP_PKEY* key) {
  const std::string text =
      ::EVP_PKEY_is_a(key, "RSA") == 1
          ? fmt::format(R"({{"e":"{}","kty":"RSA","n":"{}"}})", parameter(key, OSSL_PKEY_PARAM_RSA_E, 1), parameter(key, OSSL_PKEY_PARAM_RSA_N, 1))
          : fmt::format(R"({{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}})", parameter(key, OSSL_PKEY_PARAM_EC_PUB_X, kCoordinate),
                        parameter(key, OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinate));
  return encode_base64_url(sha256(text));
}

// As libtrust does: 240 bits of the hash of the key's DER, in groups of four letters.
std::string libtrust_id(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = ::i2d_PUBKEY(key, &der);
  if (size <= 0) return "";
  const std::string hash = sha256({reinterpret_cast<const char*>(der), static_cast<size_t>(size)}).substr(0, 30);
  ::OPENSSL_free(der);
  std::string letters;
  uint32_t bits = 0;
  int count = 0;
  for (const char byte : hash) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    for (count += 8; count >= 5; count -= 5) {
      if (letters.size() % 5 == 4) letters += ':';
      letters += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(bits >> (count - 5)) & 31];
    }
  }
  return letters;
}

// What may verify a token: RSA of 2048 bits or more, or P-256.
Result<void> check_strength(const EVP_PKEY* key) {
  if (::EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = ::EVP_PKEY_get_bits(key);
    if (bits < kMinRsaBits || bits > kMaxRsaBits)
      return Error(Code::invalid, "an RSA key of {} bits, want {} to {}", bits, kMinRsaBits, kMaxRsaBits);
    BIGNUM* raw = nullptr;
    if (::EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &raw) != 1) return Error(Code::invalid, "an RSA key without an exponent");
    const Number exponent(raw);
    // A long one only costs time: 65537 is what everybody has.
    if (::BN_num_bits(raw) > 64 || ::BN_is_odd(raw) != 1 || ::BN_is_one(raw) == 1) return Error(Code::invalid, "an RSA key with an exponent that is even, 1, or longer than 64 bits");
    return {};
  }
  char group[32] = {};
  size_t size = 0;
  if (::EVP_PKEY_is_a(key, "EC") == 1 && ::EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &size) == 1 &&
      std::string_view(group) == "prime256v1")
    return {};
  return Error(Code::invalid, "a key that is neither of RSA nor of the curve P-256");
}

Result<KeyPtr> key_of_parameters(const char* kind, OSSL_PARAM_BLD* builder) {
  const std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>> parameters(::OSSL_PARAM_BLD_to_param(builder));
  const std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>> context(::EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* raw = nullptr;
  if (parameters == nullptr || context == nullptr || ::EVP_PKEY_fromdata_init(context.get()) != 1 ||
      ::EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    ::ERR_clear_error();
    return Error(Code::invalid, "not a key of {}", kind);
  }
  return own(raw);
}

Result<KeyPtr> rsa_key(const json::object& jwk) {
  const auto n = decode_base64_url(text_of(jwk, "n")), e = decode_base64_url(text_of(jwk, "e"));
  if (!n || !e || n->empty() || e->empty() || n->size() > kMaxRsaBits / 8 + 1 || e->size() > 8) return Error(Code::invalid, "not a key of RSA");
  const auto number = [](const std::string& bytes) {
    return Number(::BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
  };
  const Number modulus = number(*n), exponent = number(*e);
  const std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(::OSSL_PARAM_BLD_new());
  ::OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  ::OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  return key_of_parameters("RSA", builder.get());
}

Result<KeyPtr> ec_key(const json::object& jwk) {
  const auto x = decode_base64_url(text_of(jwk, "x")), y = decode_base64_url(text_of(jwk, "y"));
  if (text_of(jwk, "crv") != "P-256" || !x || !y || x->size() != kCoordinate || y->size() != kCoordinate)
    return Error(Code::invalid, "not a key of the curve P-256");
  const std::string point = "\x04" + *x + *y;
  const std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(::OSSL_PARAM_BLD_new());
  ::OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  ::OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return key_of_parameters("EC", builder.get());
}

// ES256 has two numbers of 32 bytes; OpenSSL wants them in DER.
std::string der_of(const std::string& signature) {
  const std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> pair(::ECDSA_SIG_new());
  const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
  ::ECDSA_SIG_set0(pair.get(), ::BN_bin2bn(raw, kCoordinate, nullptr), ::BN_bin2bn(raw + kCoordinate, kCoordinate, nullptr));
  unsigned char* der = nullptr;
  const int size = ::i2d_ECDSA_SIG(pair.get(), &der);
  std::string out(reinterpret_cast<const char*>(der), size > 0 ? static_cast<size_t>(size) : 0);
  ::OPENSSL_free(der);
  return out;
}

bool has_signed(EVP_PKEY* key, const Jwt& jwt) {
  const bool is_ec = ::EVP_PKEY_is_a(key, "EC") == 1;
  if (is_ec && jwt.signature.size() != 2 * kCoordinate) return false;
  const std::string signature = is_ec ? der_of(jwt.signature) : jwt.signature;
  const std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> context(::EVP_MD_CTX_new());
  const bool is_good = ::EVP_DigestVerifyInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key) == 1 &&
                       ::EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                                          reinterpret_cast<const unsigned char*>(jwt.signed_part.data()), jwt.signed_part.size()) == 1;
  ::ERR_clear_error();
  return is_good;
}

Certificate certificate_of(const json::value& text) {
  if (!text.is_string()) return nullptr;
  const auto der = decode_base64({text.get_string().data(), text.get_string().size()});
  if (!der) return nullptr;
  const auto* at = reinterpret_cast<const unsigned char*>(der->data());
  return Certificate(::d2i_X509(nullptr, &at, static_cast<long>(der->size())));
}

}  // namespace

TokenKeys::TokenKeys() : anchors_(::X509_STORE_new()) {
  // One that stands in the file is trusted, whoever has signed it.
  ::X509_STORE_set_flags(anchors_, X509_V_FLAG_PARTIAL_CHAIN);
}

TokenKeys::~TokenKeys() { ::X509_STORE_free(anchors_); }

Result<std::shared_ptr<const TokenKeys>> TokenKeys::load(const std::string& certificates, const std::string& jwks) {
  auto keys = std::make_shared<TokenKeys>();
  if (!certificates.empty()) {
    const std::string text = TRY(os::read_file(certificates, kMaxFile));
    TRY(keys->add_pem(text, certificates));
  }
  if (!jwks.empty()) {
    const std::string text = TRY(os::read_file(jwks, kMaxFile));
    TRY(keys->add_jwks(text, jwks));
  }
  return std::shared_ptr<const TokenKeys>(std::move(keys));
}

Result<void> TokenKeys::add(std::shared_ptr<EVP_PKEY> key, std::string id, const std::string& where) {
  TRY(check_strength(key.get()), "'{}'", where);
  if (keys_.size() >= kMaxKeys) return Error(Code::invalid, "'{}' has more than {} keys", where, kMaxKeys);
  Key one{std::move(key), {}};
  if (!id.empty()) one.ids.push_back(std::move(id));
  one.ids.push_back(thumbprint(one.key.get()));
  one.ids.push_back(libtrust_id(one.key.get()));
  keys_.push_back(std::move(one));
  return {};
}

Result<void> TokenKeys::add_pem(const std::string& text, const std::string& where) {
  const size_t before = keys_.size();
  const Bio from(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  ::ERR_clear_error();
  while (::PEM_read_bio(from.get(), &name, &header, &data, &size) == 1) {
    const std::string kind(name);
    const unsigned char* at = data;
    const Certificate certificate(kind == "CERTIFICATE" ? ::d2i_X509(nullptr, &at, size) : nullptr);
    KeyPtr key = own(certificate != nullptr ? ::X509_get_pubkey(certificate.get()) : kind == "PUBLIC KEY" ? ::d2i_PUBKEY(nullptr, &at, size) : nullptr);
    ::OPENSSL_free(name);
    ::OPENSSL_free(header);
    ::OPENSSL_free(data);
    ::ERR_clear_error();
    if (key == nullptr)
      return Error(Code::invalid, "'{}' has '{}', want certificates or public keys", where, printable(kind))
          .hint("`openssl x509 -in FILE -noout -text`");
    if (certificate != nullptr) ::X509_STORE_add_cert(anchors_, certificate.get());
    TRY(add(std::move(key), "", where));
  }
  // Else what stands behind a block that is damaged would not count, and nobody would know.
  const unsigned long why = ::ERR_peek_last_error();
  const bool is_end = ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
  ::ERR_clear_error();
  if (!is_end) return Error(Code::invalid, "block {} of '{}' is damaged", keys_.size() - before + 1, where);
  if (keys_.size() == before) return Error(Code::invalid, "'{}' has no certificate and no public key", where);
  return {};
}

Result<void> TokenKeys::add_jwks(const std::string& text, const std::string& where) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* set = error ? nullptr : value.if_object();
  const auto* list = set == nullptr ? nullptr : set->if_contains("keys");
  if (list == nullptr || !list->is_array()) return Error(Code::invalid, "'{}' is not a JSON Web Key Set: {{\"keys\": […]}}", where);
  const size_t before = keys_.size();
  for (const json::value& one : list->get_array()) {
    const auto* jwk = one.if_object();
    if (jwk == nullptr) return Error(Code::invalid, "'{}' has a key that is not an object", where);
    const std::string kind = text_of(*jwk, "kty"), use = text_of(*jwk, "use");
    // A set may have keys for other things in it.
    if ((kind != "RSA" && kind != "EC") || (!use.empty() && use != "sig")) continue;
    const std::string curve = text_of(*jwk, "crv");
    if (kind == "EC" && !curve.empty() && curve != "P-256") continue;
    KeyPtr key = TRY(kind == "RSA" ? rsa_key(*jwk) : ec_key(*jwk), "key '{}' of '{}'", printable(text_of(*jwk, "kid")), where);
    TRY(add(std::move(key), text_of(*jwk, "kid"), where));
  }
  if (keys_.size() == before) return Error(Code::invalid, "'{}' has no key of RSA or of the curve P-256", where);
  return {};
}

Result<KeyPtr> TokenKeys::key_of_chain(const Jwt& jwt, int64_t now_s) const {
  const auto& chain = jwt.header.at("x5c");
  if (!chain.is_array() || chain.get_array().empty() || chain.get_array().size() > kMaxChain) return bad_token("its chain of certificates is none");
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> others(sk_X509_new_null(), [](STACK_OF(X509)* it) { sk_X509_pop_free(it, ::X509_free); });
  Certificate leaf;
  for (const json::value& one : chain.get_array()) {
    Certificate next = certificate_of(one);
    ::ERR_clear_error();
    if (next == nullptr) return bad_token("its chain of certificates is none");
    if (leaf == nullptr) leaf = std::move(next);
    else sk_X509_push(others.get(), next.release());
  }
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> context(::X509_STORE_CTX_new());
  ::X509_STORE_CTX_init(context.get(), anchors_, leaf.get(), others.get());
  ::X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(now_s));
  const bool is_good = ::X509_verify_cert(context.get()) == 1;
  const int why = ::X509_STORE_CTX_get_error(context.get());
  ::ERR_clear_error();
  if (!is_good) return bad_token(fmt::format("its certificate is not trusted: {}", ::X509_verify_cert_error_string(why)));
  KeyPtr key = own(::X509_get_pubkey(leaf.get()));
  if (key == nullptr || !check_strength(key.get())) return bad_token("its certificate's key is of a kind that is not taken");
  return key;
}

Result<void> TokenKeys::check(const Jwt& jwt, int64_t now_s) const {
  const std::string algorithm = text_of(jwt.header, "alg");
  if (algorithm != "RS256" && algorithm != "ES256") return bad_token(fmt::format("it is signed by '{}', want RS256 or ES256", printable(algorithm)));
  // What must be understood, and is not.
  if (jwt.header.contains("crit")) return bad_token("it has extensions that must be understood");
  const char* kind = algorithm == "RS256" ? "RSA" : "EC";
  if (jwt.header.contains("x5c")) {
    const KeyPtr key = TRY(key_of_chain(jwt, now_s));
    if (::EVP_PKEY_is_a(key.get(), kind) == 1 && has_signed(key.get(), jwt)) return {};
    return bad_token("its certificate's key has not signed it");
  }
  const auto* named = jwt.header.if_contains("kid");
  if (named != nullptr && !named->is_string()) return bad_token("its key has no name");
  const std::string id = text_of(jwt.header, "kid");
  bool is_known = named == nullptr;
  for (const Key& key : keys_) {
    if (named != nullptr && std::find(key.ids.begin(), key.ids.end(), id) == key.ids.end()) continue;
    is_known = true;
    if (::EVP_PKEY_is_a(key.key.get(), kind) == 1 && has_signed(key.key.get(), jwt)) return {};
  }
  if (!is_known) return bad_token(fmt::format("its key '{}' is not known here", printable(id.substr(0, 100))));
  return bad_token("none of the keys that are known here has signed it");
}

}  // namespace kist::registry_server
