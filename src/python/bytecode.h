// Byte-code: compiling it is the one thing of an environment that needs its interpreter, so it is a
// piece of its own, made in a container and kept beside the wheel's tree. Made once on a machine it
// saves every first import, and two machines make the same bytes.
//
//   const auto sources = bytecode_sources(tree, "3.11");
//   … write bytecode_list(sources) to a file, run bytecode_command() in the container …
//   const store::Tree piece = TRY(collect_bytecode(output, sources, target, sink));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/object_sink.h"
#include "store/tree.h"

namespace kist::python {

struct BytecodeTarget {
  std::string python_minor = "3.11";
  unsigned level = 0;  // Of optimization: 0, 1 or 2, as python's -O and -OO.

  /// "cpython-311": what Python puts into the file's name.
  std::string cache_tag() const;
};

/// Every ".py" of the tree that has no byte-code of its own in it, in the tree's order. Scripts
/// without that ending are not compiled, since Python never reads byte-code of them.
std::vector<std::string> bytecode_sources(const store::Tree& tree, const BytecodeTarget& target);

/// Where Python looks for the byte-code of `source`: "a/__pycache__/b.cpython-311.opt-1.pyc".
std::string bytecode_path(std::string_view source, const BytecodeTarget& target);

/// The list file that the program reads.
std::string bytecode_list(std::span<const std::string> sources);

struct BytecodeRun {
  std::string python = "/usr/bin/python3";  // All paths: as inside the container.
  std::string root = "/";                   // Sources are read below it; mostly the container's.
  std::string list;
  std::string output;  // An empty folder that may be written.
  unsigned workers = 2;
};
/// The command to run, in the container, as any user. It needs nothing but the interpreter, exits
/// with 0 when it went through the whole list (what does not compile is passed over, as pip does),
/// and writes "COMPILED FAILED\n", two numbers, to stdout.
/// Each file is compiled in a child of its own of one parent that imports everything beforehand,
/// with hash seed 0: on some versions (3.12.1 and 3.13.0 at least) the bytes depend on what the
/// process compiled before, on 3.10 on the seed.
std::vector<std::string> bytecode_command(const BytecodeRun& run, const BytecodeTarget& target);
/// Exactly what the environment has to be.
std::vector<std::string> bytecode_environment();

/// Takes the program's output from `folder` on this machine into a tree of the same paths. Only
/// what was asked for is looked at, no link is followed, and what is not byte-code that Python
/// would use without looking at the source (PEP 552, unchecked) is refused.
/// Errors: corrupt (not such byte-code), those of reading and of the sink.
Result<store::Tree> collect_bytecode(const std::string& folder,
                                     std::span<const std::string> sources,
                                     const BytecodeTarget& target, store::ObjectSink& sink);

/// Names the byte-code of one package: the store keeps its tree as "bytecode/<key>". `package` is
/// package_key() of the wheel; `interpreter` identifies the compiler ("cpython 3.11.2-6+deb12u6
/// 3495"): its full version and magic number, because equal magic does not promise equal code.
std::string bytecode_key(std::string_view package, std::string_view interpreter,
                         const BytecodeTarget& target);

}  // namespace kist::python
