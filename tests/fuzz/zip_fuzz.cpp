// archive::ZipFile: whole archives, with every entry read in both ways.
#include "archive/zip.h"
#include "archive/zip_forge.h"
#include "fuzz.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  using archive::forge_zip;
  const std::string text(2000, 'x');
  return {
      forge_zip({}),
      forge_zip({{.name = "a.py", .content = "print()"}, {.name = "d/", .content = "", .deflate = false}}),
      forge_zip({{.name = "a", .content = text, .descriptor = true}}, {.comment = "comment"}),
      forge_zip({{.name = "a", .content = text, .deflate = false}}, {.zip64 = true}),
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const archive::ZipLimits limits{.entries = 1000, .directory_bytes = 1 << 20,
                                  .unpacked_bytes = 8 << 20};
  const auto zip = archive::ZipFile::open(fuzz::memory_file(fuzz::text_of(data, size)), limits);
  if (!zip) return 0;
  archive::ZipScratch scratch;
  for (const archive::ZipEntry& entry : zip->entries()) {
    fuzz::expect(entry.name.find("..") == std::string_view::npos ||
                     ("/" + std::string(entry.name) + "/").find("/../") == std::string::npos,
                 "no '..' in names");
    fuzz::expect(!entry.name.starts_with('/'), "no absolute names");
    const auto whole = zip->read(entry, scratch);
    const bool read = whole.has_value();
    const std::string kept(read ? *whole : std::string_view());
    if (read) fuzz::expect(kept.size() == entry.size_bytes, "the declared size");
    std::string pieces;
    const auto chunked = zip->read_chunks(entry, scratch, [&](std::string_view piece) -> Result<void> {
      pieces += piece;
      fuzz::expect(pieces.size() <= entry.size_bytes, "never more than declared");
      return {};
    });
    fuzz::expect(chunked.has_value() == read, "both ways agree on whether it is good");
    if (read) fuzz::expect(pieces == kept, "both ways give the same");
  }
  return 0;
}
