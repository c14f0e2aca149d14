// store::Tree::decode: hostile bytes are refused, and what is accepted is the one encoding of it.
#include "fuzz.h"
#include "store/memory_sink.h"
#include "store/tree.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  store::MemorySink sink;
  store::TreeBuilder builder(sink);
  expect(builder.file("usr/bin/env", 0755, "#!").has_value(), "file");
  expect(builder.file("usr/lib/x y\n\xff", 04711, "").has_value(), "file");
  builder.symlink("bin", "usr/bin");
  builder.folder("tmp", 01777);
  store::Entry entry{.path = "etc/x", .object = oci::Sha256::of("x"), .size_bytes = 1};
  entry.uid = entry.gid = 65534;
  entry.mtime_s = -1;
  entry.xattrs = {{"security.capability", std::string("\0\1", 2)}, {"user.a", ""}};
  builder.add(entry);
  const auto tree = std::move(builder).finish();
  expect(tree.has_value(), "seed tree");
  return {tree->encode(), store::Tree().encode()};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view bytes = fuzz::text_of(data, size);
  const auto tree = store::Tree::decode(bytes);
  if (!tree) return 0;
  fuzz::expect(tree->encode() == bytes, "one tree has one encoding");
  const auto again = store::Tree::make(tree->entries());
  fuzz::expect(again.has_value() && again->entries() == tree->entries(), "what decodes can be made");
  for (const store::Entry& entry : tree->entries())
    fuzz::expect(tree->find(entry.path) != nullptr, "every entry is found");
  return 0;
}
