// A layer from its (compressed) bytes to a merged tree: whatever comes, no path leads out, no whiteout
// is left, and nothing of ours is forged.
#include "archive/decompress.h"
#include "fuzz.h"
#include "images/layer_entries.h"
#include "images/stack.h"
#include "store/layer.h"
#include "store/memory_sink.h"

namespace kist::fuzz {
namespace {

class Memory final : public store::Contents {
 public:
  Result<void> read(const store::Entry& file, const store::Output& output) const override {
    return output(std::string(file.size_bytes, 'x'));
  }
};

std::string tar_of(std::vector<store::Entry> entries) {
  const auto tree = store::Tree::make(std::move(entries));
  expect(tree.has_value(), "seed tree");
  std::string out;
  const auto written = store::write_tar(*tree, Memory(), [&](std::string_view bytes) {
    out += bytes;
    return Result<void>();
  });
  expect(written.has_value(), "seed tar");
  return out;
}

store::Entry file(std::string path) {
  store::Entry entry;
  entry.path = std::move(path);
  entry.object = oci::Sha256::of("xxx");
  entry.size_bytes = 3;
  return entry;
}

}  // namespace

std::vector<std::string> seeds() {
  store::Entry link;
  link.path = "l";
  link.kind = store::Kind::symlink;
  link.mode = 0777;
  link.target = "../../d";
  store::Entry attribute = file("d/a");
  attribute.xattrs = {{"user.x", "y"}};
  return {tar_of({file("d/f"), link, attribute}), tar_of({file("d/.wh.f"), file("e/.wh..wh..opq")}),
          tar_of({file(std::string(150, 'n') + "/" + std::string(150, 'm'))})};
}

}  // namespace kist::fuzz

namespace {

using namespace kist;

Result<store::Tree> read_layer(std::string_view bytes, store::MemorySink& sink) {
  archive::Source source = [bytes]() mutable -> Result<std::string_view> {
    return std::exchange(bytes, {});
  };
  const std::string start = TRY(archive::peek(source, 6));
  archive::Source plain = TRY(archive::decompress(std::move(source), archive::detect_filter(start)));
  archive::TarLimits limits;
  limits.entries = 1000;
  limits.unpacked_bytes = 16 << 20;
  auto tar = TRY(archive::TarReader::open(std::move(plain), archive::TarFilter::none, limits));
  const store::Object empty = TRY(sink.put("", 0644));
  images::LayerEntries entries(empty);
  archive::TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) break;
    const store::Object content{.digest = empty.digest, .size_bytes = entry.size_bytes};
    TRY(entries.add(entry, entry.kind == archive::TarKind::file ? &content : nullptr));
  }
  return std::move(entries).finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  // Two layers: what follows the first 512 bytes again is laid over the whole.
  store::MemorySink sink(false);
  const auto first = read_layer(bytes, sink);
  if (!first) return 0;
  const auto below = images::lay_over(store::Tree(), *first);
  if (!below) return 0;
  const auto second = read_layer(bytes.substr(std::min<size_t>(512, bytes.size())), sink);
  const auto merged = images::lay_over(*below, second ? *second : *first);
  if (!merged) return 0;
  for (const store::Entry& entry : merged->entries()) {
    fuzz::expect(!images::base_name(entry.path).starts_with(".wh."), "no whiteout is left");
    for (const auto& xattr : entry.xattrs)
      fuzz::expect(!xattr.first.starts_with("kist."), "no attribute of ours is left");
  }
  return 0;
}
