// What archives say in text: Packages, Release, InRelease, relations, versions.
#include "debian/control.h"
#include "debian/release.h"
#include "debian/signature.h"
#include "fuzz.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  const std::string release =
      "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: trixie\n"
      "Date: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\n"
      "Acquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main\nSHA256:\n "
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 "
      "main/binary-amd64/Packages.xz\n";
  return {
      release,
      "Package: libc6\nVersion: 2.36-9+deb12u10\nDepends: libgcc-s1 (>= 12), a | b:any [amd64]\n"
      "Description: x\n folded\n .\n\nPackage: b\nVersion: 1:0~rc1-1\n",
      "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + release +
          "- -dashes\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n=aaaa\n-----END PGP SIGNATURE-----\n",
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF==\n=aaaa\n-----END PGP PUBLIC KEY BLOCK-----\n",
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto paragraphs = debian::parse_paragraphs(text)) {
    for (const debian::Paragraph& paragraph : *paragraphs) {
      const auto again = debian::parse_paragraph(paragraph.text());
      fuzz::expect(paragraph.fields().empty() || again.has_value(), "a written paragraph can be read");
      debian::parse_relations(paragraph.get("Depends"));
    }
  }
  static_cast<void>(debian::parse_paragraphs(text, true));
  static_cast<void>(debian::parse_release(text));
  static_cast<void>(debian::parse_release_date(text));
  static_cast<void>(debian::split_clear_signed(text));
  static_cast<void>(debian::dearmor(text));
  const std::string_view a = text.substr(0, size / 2);
  const std::string_view b = text.substr(size / 2);
  const int order = debian::compare_versions(a, b);
  const int back = debian::compare_versions(b, a);
  fuzz::expect((order > 0) == (back < 0) && (order == 0) == (back == 0), "versions have an order");
  return 0;
}
