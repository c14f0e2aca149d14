// How to write a tar again whose files are in the store: what lies between their contents, verbatim,
// and which content comes where. Module-private. docs/formats/image-store.md describes the bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/layer.h"
#include "store/store.h"

namespace kist::images {

/// Which bytes of a stream are contents is known only when its reader gets there: this keeps what
/// was read ahead, and nothing else.
class RecipeWriter {
 public:
  static Result<RecipeWriter> make(store::ObjectSink& sink);
  RecipeWriter(RecipeWriter&&) noexcept;
  RecipeWriter& operator=(RecipeWriter&&) noexcept;
  ~RecipeWriter();

  /// The next bytes of the tar, in order, before the reader uses them.
  void see(std::string_view bytes);
  /// All up to `position` that is not content was of this kind: goes to the recipe.
  Result<void> literal_until(uint64_t position);
  /// From where the literal ended on, `object` follows.
  Result<void> content(const store::Entry& object);
  /// To be called when all was seen. The recipe as an object of mode 0644.
  Result<store::Object> finish();

  /// Every content that the recipe names, each inode once.
  const std::vector<store::Entry>& contents() const;

 private:
  struct State;
  explicit RecipeWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Writes the tar. `recipe`: its object. Errors: corrupt, those of `output`.
Result<void> write_from_recipe(const store::Store& store, const store::Entry& recipe,
                               const store::Output& output);

}  // namespace kist::images
