// Which Python an image has, by reading its files: nothing of the image is executed, so that it can be
// another machine's. Bytes are hostile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/tree.h"

namespace kist::environment {

using ReadEntry = std::function<Result<std::string>(const store::Entry&)>;

struct ImagePython {
  std::string program;  // "/usr/local/bin/python3.12": no link, so that its folder is where it is installed.
  std::string version;  // "3.12.7"; "3.12" when its files do not say more.
  std::string libc;     // "glibc 2.36", "musl 1.2"
};

struct ImagePythonRequest {
  const store::Tree& tree;  // All layers.
  const ReadEntry& read;
  std::string platform;  // "linux/amd64"
  std::string path;      // The image's PATH.
  std::string named;     // The program that kist.toml names; empty: looked for on the PATH.
  std::string wanted;    // "3.11" or "3.11.4": python3.11 is looked for before python3; empty: any.
};

/// CPython with the global interpreter lock, which its standard library lies beside.
/// Errors: not_found (none on the PATH; nothing at the path that was named), unsupported (PyPy,
/// free-threaded, static, one that only its owner can start), invalid (another machine's), those of `read`.
Result<ImagePython> find_image_python(const ImagePythonRequest& request);

/// "glibc 2.36": the C library of an image whose Python is not its own. Errors: not_found.
Result<std::string> find_image_libc(const store::Tree& tree, const ReadEntry& read, const std::string& platform);

/// The folder of a Python's standard library, "usr/local/lib/python3.12". `home`: "/usr/local".
std::string library_folder(const store::Tree& tree, const std::string& home, const std::string& minor);

/// "2.36" in the bytes of glibc, "1.2" in those of musl's; empty when they say none.
std::string glibc_version(std::string_view bytes);
std::string musl_version(std::string_view bytes);

}  // namespace kist::environment
