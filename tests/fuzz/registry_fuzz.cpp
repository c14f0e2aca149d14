// What registries, token servers and other tools' files say: challenges, tokens, registries.conf and the
// credentials of docker's config.json.
#include "base/base64.h"
#include "base/text.h"
#include "fuzz.h"
#include "registry/address.h"
#include "registry/challenge.h"
#include "registry/credentials.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  return {
      R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push")",
      R"(Negotiate, NTLM TlRM==, Basic realm="a \"b\"", charset=UTF-8)",
      R"({"token":"abc","access_token":"def","expires_in":300})",
      "unqualified-search-registries = [\"a.example\"]\n[[registry]]\nprefix = \"*.example\"\nblocked = false\n"
      "location = \"b.example/x\"\n[[registry.mirror]]\nlocation = \"m.example\"\ninsecure = true\n[aliases]\nx = \"a.example/x\"\n",
      R"({"auths":{"https://reg.example/v1/":{"auth":"am9lOnM6Y3JldA=="},"reg.example/team":{"identitytoken":"x"},)"
      R"("reg.example":{"username":"u","password":"p"}}})",
      "am9lOnM6Y3JldA==",
  };
}

namespace {

void check_challenges(std::string_view text) {
  const auto all = registry::parse_challenges(text);
  expect(all.size() <= 16, "a bounded number of challenges");
  for (const registry::Challenge& challenge : all) {
    expect(!challenge.scheme.empty(), "a challenge has a scheme");
    for (const auto& [name, value] : challenge.parameters) {
      expect(!name.empty() && name.size() + value.size() <= text.size(), "a parameter is a part of the field");
      if (!registry::may_have_password("reg.example.com", false, value)) continue;
      expect(to_lower(value).find("example.com") != std::string::npos, "a password is for the same domain");
    }
  }
}

// The helpers of such a file are not run: they would be programs of this machine.
void check_credentials(std::string_view text) {
  if (text.find("cred") != std::string_view::npos || text.find("\\u") != std::string_view::npos) return;
  registry::Host host;
  host.home = "/nowhere";
  host.variables["REGISTRY_AUTH_FILE"] = memory_file(text);
  const auto found = registry::find_credentials(host, "reg.example", "team/tool");
  if (found && *found)
    expect(!(*found)->password.empty() || !(*found)->identity_token.empty(), "credentials have a secret");
}

}  // namespace
}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::check_challenges(text);
  if (const auto token = registry::parse_token(text))
    fuzz::expect(token->reveal().find_first_of(std::string_view("\r\n\0 ", 4)) == std::string::npos, "a token fits into a head");
  registry::RegistriesConf conf;
  if (registry::add_registries_conf(text, "registries.conf", conf)) {
    const auto reference = oci::Reference::parse("a.example/x:1");
    for (const bool for_push : {false, true}) {
      const auto found = registry::addresses_of(*reference, {.home = "/nowhere", .variables = {}, .default_registry = {}}, conf, for_push);
      fuzz::expect(!found || !found->empty(), "a name leads somewhere");
    }
  }
  if (const auto bytes = decode_base64(text))
    fuzz::expect(decode_base64(encode_base64(*bytes)) == *bytes, "base64 both ways");
  fuzz::check_credentials(text);
  return 0;
}
