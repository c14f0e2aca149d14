#include "debian/release.h"

#include <gtest/gtest.h>

#include <map>

#include "os/files.h"

namespace kist::debian {
namespace {

// Signed by a throw-away key, whose public half follows; a second key signed nothing.
constexpr char kInRelease[] =
    "-----BEGIN PGP SIGNED MESSAGE-----\n"
    "Hash: SHA256\n"
    "\n"
    "Origin: Debian\n"
    "Label: Debian\n"
    "Suite: stable\n"
    "Codename: trixie\n"
    "Date: Sat, 01 Aug 2026 10:00:00 UTC\n"
    "Valid-Until: Sat, 08 Aug 2026 10:00:00 UTC\n"
    "Acquire-By-Hash: yes\n"
    "SHA256:\n"
    " 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 main/binary-amd64/Packages.xz\n"
    "X-Note:\n"
    " -dash\n"
    "-----BEGIN PGP SIGNATURE-----\n"
    "\n"
    "iIUEARYIAC0WIQTcCe5QWwkO7bqUAjBLY2MZo3TnBAUCam3DoA8cYUBhcmNoaXZl\n"
    "LnRlc3QACgkQS2NjGaN05wQ94QD6A9wHoRGl4pMH98/S3Mih/vIUbG3YJV4QppIh\n"
    "smLh9nsBAKaEu9gAHmofU4lHwWEMc6gjQK8+cYX4vQ6pMsJoHXwP\n"
    "=b2iV\n"
    "-----END PGP SIGNATURE-----\n";
constexpr char kKey[] =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    "\n"
    "mDMEXgvhABYJKwYBBAHaRw8BAQdA4HCUwLxr5CmMLBCIwhDGc2QYDrDuJ1VsM/Al\n"
    "OoS+NO+0HVRlc3QgQXJjaGl2ZSA8YUBhcmNoaXZlLnRlc3Q+iJAEExYIADgWIQTc\n"
    "Ce5QWwkO7bqUAjBLY2MZo3TnBAUCXgvhAAIbAwULCQgHAgYVCgkICwIEFgIDAQIe\n"
    "AQIXgAAKCRBLY2MZo3TnBDdrAP0QBlQmeCoXtvyJul/cZFUd1WUhlPcF9v5mF2An\n"
    "JmahpgEAy5eHskQVLtM5Gibb6DaSRNvxxHHxdmL10pYD338iAgg=\n"
    "=D2nW\n"
    "-----END PGP PUBLIC KEY BLOCK-----\n";
constexpr char kOtherKey[] =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    "\n"
    "mDMEXgvhABYJKwYBBAHaRw8BAQdABmnawyPGwSU4IeF6y9F/J9zCeSc/esTcRU+b\n"
    "aMjL/AS0Fk90aGVyIDxiQGFyY2hpdmUudGVzdD6IkAQTFggAOBYhBDDmknWOAelG\n"
    "IYPOZg6lDEEKj5VEBQJeC+EAAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJ\n"
    "EA6lDEEKj5VEDpMA/Au773djWeyy1B2kGyF7TfPK9xJiLg2clodgSW8D58FGAP93\n"
    "2kEjgXP/K4nl9mkSFcd7K8s9wCXHwKWrpzuffCJsDg==\n"
    "=vB4s\n"
    "-----END PGP PUBLIC KEY BLOCK-----\n";
constexpr char kFingerprint[] = "DC09EE505B090EEDBA9402304B636319A374E704";
constexpr int64_t kSigned = 1785578400;  // Sat, 01 Aug 2026 10:00:00 UTC
constexpr int64_t kDay = 86400;

bool can_verify() {
  const auto verified = verify_clear_signed(kInRelease, {{}, kKey, {}}, {});
  return verified || verified.error().code() != Code::unavailable;
}

#define SKIP_WITHOUT_VERIFIER() \
  if (!can_verify()) GTEST_SKIP() << "neither gpgv nor sqv is installed here"

TEST(SignatureTest, ReturnsOnlyTheSignedPart) {
  SKIP_WITHOUT_VERIFIER();
  const auto text = verify_clear_signed(kInRelease, {{}, kKey, {}}, {});
  ASSERT_TRUE(text.has_value()) << text.error().render();
  EXPECT_TRUE(text->starts_with("Origin: Debian\nLabel: Debian\n")) << *text;
  EXPECT_EQ(text->find("PGP"), std::string::npos);
  EXPECT_TRUE(verify_clear_signed(kInRelease, {{}, kKey, {kFingerprint}}, {}).has_value());
}

TEST(SignatureTest, RefusesWhatNoTrustedKeySigned) {
  SKIP_WITHOUT_VERIFIER();
  std::string changed = kInRelease;
  changed.replace(changed.find("trixie"), 6, "trixiE");
  const struct {
    const char* why;
    std::string file;
    TrustedKeys keys;
    Code code;
    std::string message;
  } cases[] = {
      {"other key", kInRelease, {{}, kOtherKey, {}}, Code::denied,
       "signed by the key 4B636319A374E704, which is not trusted"},
      {"other fingerprint", kInRelease, {{}, kKey, {std::string(40, 'A')}}, Code::denied,
       "no signature by a trusted key"},
      {"changed text", changed, {{}, kKey, {}}, Code::denied,
       "the signature does not fit the text: 4B636319A374E704 Test Archive <a@archive.test>"},
      {"unsigned", "Origin: Debian\n", {{}, kKey, {}}, Code::corrupt,
       "there is text before the signed part"},
      {"text before", std::string("Origin: Evil\n") + kInRelease, {{}, kKey, {}}, Code::corrupt,
       "there is text before the signed part"},
      {"text after", std::string(kInRelease) + "Origin: Evil\n", {{}, kKey, {}}, Code::corrupt,
       "there is text after the signature"},
      {"no signature", "-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n", {{}, kKey, {}}, Code::corrupt,
       "not a cleartext-signed file"},
      {"no keyring", kInRelease, {{"/none.gpg"}, "", {}}, Code::unavailable,
       "no archive keyring found, looked for /none.gpg"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = verify_clear_signed(c.file, c.keys, {});
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(SignatureTest, MissingProgramsAreSaid) {
  const VerifierPrograms none{"/none/gpgv", "/none/sqv", "/tmp"};
  const auto got = verify_clear_signed(kInRelease, {{}, kKey, {}}, none);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code(), Code::unavailable);
  EXPECT_EQ(got.error().hint_text(), "`apt-get install gpgv`");
}

TEST(SignatureTest, SplitUnescapesDashes) {
  const auto parts = split_clear_signed(
      "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n- -----x\ny\n"
      "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n");
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->text, "-----x\ny");
  EXPECT_EQ(parts->signature,
            "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n");
}

TEST(SignatureTest, DearmorTakesEveryBlockAndRefusesDamage) {
  const std::string block =
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nQUJD\nREU=\n=abcd\n"
      "-----END PGP PUBLIC KEY BLOCK-----\n";
  EXPECT_EQ(dearmor(block).value(), "ABCDE");
  EXPECT_EQ(dearmor(block + "between\n" + block).value(), "ABCDEABCDE");
  EXPECT_EQ(dearmor("nothing").error().message(), "not an armored public key");
  EXPECT_EQ(dearmor(block.substr(0, 60)).error().message(), "not an armored public key");
  std::string damaged = block;
  damaged.replace(damaged.find("QUJD"), 4, "QU*D");
  EXPECT_EQ(dearmor(damaged).error().message(), "key file has a byte that is not base64");
}

TEST(ReleaseTest, ParsesDates) {
  EXPECT_EQ(parse_release_date("Sat, 01 Aug 2026 10:00:00 UTC").value(), kSigned);
  EXPECT_EQ(parse_release_date("Thu,  1 Jan 1970 00:00:01 +0000").value(), 1);
  for (const char* bad : {"", "Sat, 01 Aug 2026", "Sat, 32 Aug 2026 10:00:00 UTC",
                          "Sat, 01 Foo 2026 10:00:00 UTC", "Sat, 01 Aug 2026 25:00:00 UTC",
                          "Sat, 01 Aug 2026 10:00:00 CEST"})
    EXPECT_EQ(parse_release_date(bad).error().code(), Code::corrupt) << bad;
}

TEST(ReleaseTest, ParsesFieldsAndHashes) {
  const std::string hash(64, 'a');
  const auto release = parse_release(
      "Origin: Debian\nCodename: trixie\nDate: Sat, 01 Aug 2026 10:00:00 UTC\n"
      "Acquire-By-Hash: yes\nMD5Sum:\n 1 2 ignored\nSHA256:\n " +
      hash + "     12 main/x\n");
  ASSERT_TRUE(release.has_value()) << release.error().render();
  EXPECT_EQ(release->files.at("main/x").size_bytes, 12u);
  EXPECT_TRUE(release->by_hash);
  EXPECT_FALSE(release->valid_until_s.has_value());
  const char* const head = "Date: Sat, 01 Aug 2026 10:00:00 UTC\n";
  EXPECT_EQ(parse_release(head).error().message(), "Release file lists nothing under SHA256");
  EXPECT_EQ(parse_release(std::string(head) + "SHA256:\n xyz main/x\n").error().message(),
            "'xyz main/x' under SHA256 is not 'hash size name'");
  EXPECT_EQ(parse_release("Origin: x\n").error().message(), "field 'Date'");
  EXPECT_EQ(parse_release("garbage").error().code(), Code::corrupt);
}

TEST(ReleaseTest, ChecksDates) {
  Release release;
  release.date_s = kSigned;
  release.valid_until_s = kSigned + 7 * kDay;
  Archive archive;
  archive.suite = "trixie";
  EXPECT_TRUE(check_dates(release, archive, kSigned + kDay).has_value());
  EXPECT_TRUE(check_dates(release, archive, kSigned - 60).has_value()) << "clocks drift";
  const auto past = check_dates(release, archive, kSigned - kDay);
  ASSERT_FALSE(past.has_value());
  EXPECT_EQ(past.error().message(),
            "the Release file of 'trixie' is of 2026-08-01 10:00 UTC, but this machine's clock says "
            "2026-07-31 10:00 UTC");
  EXPECT_EQ(past.error().hint_text(), "set the clock: `timedatectl set-ntp true`");
  const auto old = check_dates(release, archive, kSigned + 8 * kDay);
  ASSERT_FALSE(old.has_value());
  EXPECT_EQ(old.error().message(),
            "the Release file of 'trixie' was valid until 2026-08-08 10:00 UTC, and now it is "
            "2026-08-09 10:00 UTC: the mirror is old");
  archive.check_valid_until = false;
  EXPECT_TRUE(check_dates(release, archive, kSigned + 8 * kDay).has_value());
  archive.check_date = false;
  EXPECT_TRUE(check_dates(release, archive, kSigned - kDay).has_value());
}

// Serves what it was given, counts, and knows ETags.
class FakeClient final : public http::Client {
 public:
  std::map<std::string, std::string> files;
  std::vector<std::string> asked;

  Result<http::Response> get(const std::string& url, const http::GetOptions& options) override {
    asked.push_back(url);
    const auto found = files.find(url);
    if (found == files.end()) return Error(Code::not_found, "get '{}': 404", url);
    if (!options.etag.empty() && options.etag == etag_of(found->second))
      return http::Response{304, "", options.etag, ""};
    return http::Response{200, found->second, etag_of(found->second), ""};
  }
  Result<void> download_all(std::span<const http::Download> downloads, const http::OnFile& on_file,
                            size_t, Progress&, std::string_view) override {
    for (size_t i = 0; i < downloads.size(); ++i) {
      std::optional<std::string> body;
      for (const std::string& url : downloads[i].urls) {
        asked.push_back(url);
        if (!body && files.contains(url)) body = files[url];
      }
      if (!body) return Error(Code::not_found, "no address had '{}'", downloads[i].label);
      if (oci::Sha256::of(*body) != *downloads[i].sha256)
        return Error(Code::corrupt, "'{}' has another hash", downloads[i].label);
      TRY(os::write_file_atomically(downloads[i].path, *body));
      TRY(on_file(i));
    }
    return {};
  }

 private:
  static std::string etag_of(const std::string& body) { return oci::Sha256::of(body).hex(); }
};

class FetchTest : public ::testing::Test {
 protected:
  static constexpr const char* kRelease = "http://m.test/debian/dists/trixie/InRelease";
  static constexpr const char* kIndex =
      "http://m.test/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/"
      "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

  void SetUp() override {
    SKIP_WITHOUT_VERIFIER();
    client_.files[kRelease] = kInRelease;
    client_.files[kIndex] = "x";
    pockets_ = {{"trixie", {archive("http://m.test/debian")}}};
  }
  static Archive archive(const std::string& uri) {
    Archive out;
    out.uri = uri;
    out.suite = "trixie";
    out.components = {"main"};
    out.inline_key = kKey;
    return out;
  }
  Result<std::vector<PackagesIndex>> fetch(bool offline = false) {
    return fetch_indexes(pockets_, "amd64",
                         {.client = client_, .cache_dir = folder_.path(), .now_s = now_s_,
                          .programs = {}, .machine_keyrings = {}, .offline = offline});
  }

  os::TempDir folder_ = os::TempDir::make("/tmp", "fetch.").value();
  FakeClient client_;
  std::vector<Pocket> pockets_;
  int64_t now_s_ = kSigned + kDay;
};

TEST_F(FetchTest, FetchesOnceAndThenOnlyAsks) {
  const auto first = fetch();
  ASSERT_TRUE(first.has_value()) << first.error().render();
  ASSERT_EQ(first->size(), 1u);
  EXPECT_EQ((*first)[0].uri, "http://m.test/debian");
  EXPECT_EQ((*first)[0].suite, "trixie");
  EXPECT_EQ(os::read_file((*first)[0].path).value(), "x");
  client_.asked.clear();
  ASSERT_TRUE(fetch().has_value());
  EXPECT_EQ(client_.asked, (std::vector<std::string>{kRelease}));
  client_.asked.clear();
  ASSERT_TRUE(fetch(true).has_value()) << "all is cached, so it works offline";
  EXPECT_TRUE(client_.asked.empty());
}

TEST_F(FetchTest, SpoiltCacheIsFetchedAgain) {
  const auto first = fetch();
  ASSERT_TRUE(os::write_file_atomically((*first)[0].path, "y").has_value());
  ASSERT_TRUE(fetch().has_value());
  EXPECT_EQ(os::read_file((*first)[0].path).value(), "x");
}

TEST_F(FetchTest, FailuresAreSaid) {
  const auto offline = fetch(true);
  EXPECT_EQ(offline.error().message(),
            "'http://m.test/debian/dists/trixie/InRelease' is not cached, and the network must not be "
            "used");
  now_s_ = kSigned + 30 * kDay;
  EXPECT_EQ(fetch().error().code(), Code::denied);
  now_s_ = kSigned + kDay;
  client_.files[kIndex] = "spoilt";
  EXPECT_EQ(fetch().error().code(), Code::corrupt);
  client_.files.erase(kRelease);
  EXPECT_EQ(fetch().error().code(), Code::not_found);
}

TEST_F(FetchTest, NextArchiveServesWhenTheFirstIsOfAnotherVendorOrDown) {
  Archive other = archive("http://down.test");
  Archive untrusted = archive("http://untrusted.test");
  untrusted.inline_key = kOtherKey;
  client_.files["http://untrusted.test/dists/trixie/InRelease"] = kInRelease;
  pockets_[0].archives = {other, untrusted, archive("http://m.test/debian")};
  const auto got = fetch();
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ((*got)[0].uri, "http://m.test/debian");
}

TEST_F(FetchTest, SuiteMustBeTheOneThatWasAsked) {
  pockets_[0].archives[0].suite = "bookworm";
  client_.files["http://m.test/debian/dists/bookworm/InRelease"] = kInRelease;
  EXPECT_EQ(fetch().error().message(),
            "'http://m.test/debian/dists/bookworm/InRelease' is of the suite 'trixie', want "
            "'bookworm'");
}

TEST_F(FetchTest, ArchitectureMustExist) {
  const auto got = fetch_indexes(pockets_, "riscv64",
                                 {.client = client_, .cache_dir = folder_.path(), .now_s = now_s_,
                                  .programs = {}, .machine_keyrings = {}, .offline = false});
  EXPECT_EQ(got.error().message(), "'trixie' has no packages for the architecture 'riscv64'");
}

}  // namespace
}  // namespace kist::debian
