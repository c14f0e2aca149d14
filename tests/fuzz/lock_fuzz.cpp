// Locks, ours and others', and the TOML under them.
#include "fuzz.h"
#include "python/pylock.h"
#include "python/pyproject.h"
#include "python/script_metadata.h"
#include "toml/toml.h"
#include "python/uv_lock.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  python::Lock lock;
  lock.requires_python = ">=3.11";
  python::LockedFile wheel{.name = "six-1.17.0-py2.py3-none-any.whl", .url = "https://h/six.whl"};
  wheel.size_bytes = 11050;
  wheel.hashes = {{"sha256", std::string(64, 'a')}};
  python::LockedPackage six{.name = "six", .version = "1.17.0"};
  six.wheels = {wheel};
  python::LockedPackage own{.name = "own"};
  own.directory = python::LockedDirectory{.path = ".", .editable = true};
  lock.packages = {six, own};
  lock.kist = python::KistSection{.platform = "linux/amd64", .python = "3.11", .base = "debian:bookworm"};
  lock.kist->debian = {{.name = "libc6", .version = "2.36", .architecture = "amd64",
                        .suite = "bookworm", .component = "main", .path = "pool/x.deb"}};
  return {
      python::write_lock(lock),
      "version = 1\nrevision = 3\nrequires-python = \">=3.11\"\n[[package]]\nname = \"own\"\n"
      "version = \"1\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"six\", marker = "
      "\"python_version > '3'\" }]\n[[package]]\nname = \"six\"\nversion = \"1\"\nsource = { registry "
      "= \"https://h/simple\" }\nwheels = [{ url = \"https://h/six-1-py3-none-any.whl\", hash = "
      "\"sha256:aa\", size = 1 }]\n",
      "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"six\"]\n[dependency-groups]\n"
      "dev = [\"a\", {include-group = \"b\"}]\nb = []\n[tool.kist.run]\nmemory = \"8g\"\n",
      "# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\"six\"]\n# ///\n",
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  static_cast<void>(toml::parse(text, "x.toml", {.bytes = 1 << 20, .depth = 32, .values = 10000}));
  static_cast<void>(python::parse_pyproject(text));
  static_cast<void>(python::read_script_metadata(text, "x.py"));
  static_cast<void>(python::read_uv_lock(text, "uv.lock", {}, {}));
  std::vector<std::string> warnings;
  const auto lock = python::parse_lock(text, "pylock.toml", warnings);
  if (!lock) return 0;
  const std::string written = python::write_lock(*lock);
  const auto again = python::parse_lock(written, "pylock.toml", warnings);
  fuzz::expect(again.has_value(), "a written lock can be read");
  fuzz::expect(python::write_lock(*again) == written, "and is written the same way again");
  return 0;
}
