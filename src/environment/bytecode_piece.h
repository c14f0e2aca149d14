// Byte-code of an environment: each package's is a piece of its own, made by the environment's
// interpreter in a container over the environment's root, and kept in the store under its own name,
// so that it is made once on a machine. A program never waits for it: it starts from a tree without,
// and `engine/bytecode_job.h` compiles while it runs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "environment/context.h"
#include "environment/pieces.h"
#include "python/pylock.h"
#include "python/tags.h"
#include "store/store.h"

namespace kist::environment {

struct BytecodePiece {
  std::string label;    // "numpy 2.1.0"
  std::string name;     // "bytecode/<key>" in the store.
  oci::Digest sources;  // The tree that has the sources,
  std::string folder;   // below this folder; empty: everywhere.
};

/// What is needed to complete an environment later, in another process.
struct BytecodePlan {
  std::string complete_name;  // What the store calls the tree with all byte-code: "env/<key>-complete".
  oci::Digest tree{oci::Digest::Bytes{}};  // That runs meanwhile: it has all but (some) byte-code.
  std::string python_minor;   // "3.13"
  std::string python;         // "/usr/bin/python3.13", inside.
  std::vector<BytecodePiece> pieces;
  /// The tree with the interpreter that compiles, when `tree` is for a platform whose programs this
  /// machine cannot execute (foreign_compiler.h). Not in the file: nobody runs such a tree meanwhile.
  std::optional<oci::Digest> compiler = {};
};

/// What is asked of bytecode_plan(); `wheels` are pieces whose trees have names in the store or in
/// the transaction.
struct BytecodeRequest {
  const python::Lock& lock;
  const python::Target& target;
  const oci::Digest& library;  // The tree with the standard library: the base's, or the interpreter's.
  std::span<const Piece> wheels;
};

/// `complete_name` and `tree` are the caller's to fill in. Errors: not_found (a piece is not in the
/// store), those of reading it.
Result<BytecodePlan> bytecode_plan(const Context& context, const BytecodeRequest& request,
                                   const store::Transaction& tx);

/// For the file that the later process reads. decode: corrupt.
std::string encode(const BytecodePlan& plan);
Result<BytecodePlan> decode_bytecode_plan(std::string_view text);

/// Those that the store does not have. Errors: those of reading the store.
Result<std::vector<BytecodePiece>> missing_bytecode(const Context& context, const BytecodePlan& plan,
                                                    const store::Transaction& tx);

/// The pieces cut into groups of which each is worth a container of its own.
Result<std::vector<std::vector<BytecodePiece>>> bytecode_groups(
    const Context& context, const BytecodePlan& plan, const std::vector<BytecodePiece>& pieces);

/// Compiles these in one container and gives their names in `tx`. Blocks. `work_folder` is ours
/// alone, and either new or what a call for the same pieces left that was killed since the machine
/// started: it goes on from there. Removed in the end. Errors: those of run_step(), corrupt (what came out is no byte-code).
Result<void> compile_bytecode(const Context& context, const BytecodePlan& plan,
                              std::span<const BytecodePiece> pieces, const std::string& work_folder,
                              store::Transaction& tx);

/// `tree` with all byte-code that there is for it; null when there is none yet.
Result<std::optional<store::Tree>> with_bytecode(const Context& context, const BytecodePlan& plan,
                                                 const store::Tree& tree,
                                                 const store::Transaction& tx);

/// The whole tree, put and named, once nothing is missing. Errors: not_found (something is).
Result<oci::Digest> complete_tree(const Context& context, const BytecodePlan& plan,
                                  store::Transaction& tx);

/// Compiles what is missing, here and now, and completes: for who needs the whole tree (verifying,
/// building an image). Errors: as the above.
Result<oci::Digest> complete_now(const Context& context, const BytecodePlan& plan,
                                 store::Transaction& tx);

}  // namespace kist::environment
