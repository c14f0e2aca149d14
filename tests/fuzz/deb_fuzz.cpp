// debian::unpack_deb, with members that are plain tar, so that mutations reach what is inside.
#include <cstring>

#include "debian/deb.h"
#include "fuzz.h"
#include "store/memory_sink.h"

namespace kist::fuzz {
namespace {

// A ustar header with its content, padded. `type`: '0' a file, '5' a folder, '2' a link, '1' a hard
// link.
std::string tar_entry(const std::string& name, char type, const std::string& content,
                      const std::string& target = "") {
  std::string head(512, '\0');
  const auto put = [&head](size_t at, const std::string& text) { head.replace(at, text.size(), text); };
  put(0, name);
  put(100, type == '5' ? "0000755" : "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  put(148, "        ");
  head[156] = type;
  put(157, target);
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  std::string out = head + content;
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

std::string ar_member(const std::string& name, const std::string& content) {
  std::string out = fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, 100644,
                                content.size());
  out += content;
  if (content.size() % 2 != 0) out += '\n';
  return out;
}

std::string deb(const std::string& control, const std::string& data) {
  const std::string end(1024, '\0');
  return "!<arch>\n" + ar_member("debian-binary", "2.0\n") + ar_member("control.tar", control + end) +
         ar_member("data.tar", data + end);
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string control = tar_entry(
      "./control", '0',
      "Package: thing\nVersion: 1.0\nArchitecture: all\nMaintainer: x\nDescription: y\n");
  const std::string data = tar_entry("./", '5', "") + tar_entry("./bin/", '5', "") +
                           tar_entry("./bin/thing", '0', "#!/bin/sh\n") +
                           tar_entry("./bin/link", '2', "", "thing") +
                           tar_entry("./bin/hard", '1', "", "./bin/thing");
  return {deb(control, data), deb(control, ""), data, "!<arch>\n"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  store::MemorySink sink;
  debian::DebOptions options;
  options.limits = {.entries = 1000, .unpacked_bytes = 8 << 20, .control_bytes = 1 << 20};
  const auto deb = debian::unpack_deb(fuzz::text_of(data, size), options, sink);
  if (!deb) return 0;
  const auto meta = debian::read_meta(deb->meta, [&](const store::Entry& entry) -> Result<std::string> {
    return *sink.content(*entry.object);
  });
  fuzz::expect(meta.has_value(), "what was unpacked can be read back");
  fuzz::expect(store::Tree::decode(deb->files.encode()).has_value(), "the tree is a good one");
  return 0;
}
