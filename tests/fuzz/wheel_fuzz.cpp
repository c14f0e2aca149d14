// python::install_wheel: from a zip to a tree. The first bytes are a zip or, after "F", files as
// "name\0content\0" pairs that are zipped here: so that the fuzzer need not find checksums.
#include "archive/zip_forge.h"
#include "fuzz.h"
#include "os/workers.h"
#include "python/install.h"
#include "store/memory_sink.h"

namespace kist::fuzz {
namespace {

constexpr const char* kMetadata = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";
constexpr const char* kWheel =
    "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n";

std::string pairs(std::initializer_list<std::pair<std::string, std::string>> files) {
  std::string out = "F";
  for (const auto& [name, content] : files) out += name + '\0' + content + '\0';
  return out;
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string info = "thing-1.0.dist-info/";
  return {
      pairs({{"thing.py", "x = 1\n"}, {info + "METADATA", kMetadata}, {info + "WHEEL", kWheel},
             {info + "RECORD", "thing.py,,\nthing-1.0.dist-info/METADATA,,\n"
                               "thing-1.0.dist-info/WHEEL,,\nthing-1.0.dist-info/RECORD,,\n"}}),
      pairs({{"thing/__init__.py", ""}, {info + "METADATA", kMetadata}, {info + "WHEEL", kWheel},
             {info + "entry_points.txt", "[console_scripts]\nthing = thing:main\n"},
             {"thing-1.0.data/scripts/run", "#!python\n"}, {"thing-1.0.data/data/etc/x", "y"},
             {info + "RECORD", "thing/__init__.py,,\n"}}),
  };
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  std::string_view input = fuzz::text_of(data, size);
  std::string zip(input);
  if (input.starts_with('F')) {
    input.remove_prefix(1);
    std::vector<archive::ForgedEntry> entries;
    while (!input.empty() && entries.size() < 64) {
      std::string parts[2];
      for (std::string& part : parts) {
        const size_t end = std::min(input.find('\0'), input.size());
        part = input.substr(0, end);
        input.remove_prefix(std::min(end + 1, input.size()));
      }
      entries.push_back({.name = parts[0], .content = parts[1], .deflate = false});
    }
    zip = archive::forge_zip(entries);
  }
  static os::Workers workers(0);
  store::MemorySink sink(false);
  const auto installed =
      python::install_wheel(fuzz::memory_file(zip), {.file_name = "thing-1.0-py3-none-any.whl"},
                            {.python_minor = "3.11"}, sink, workers);
  if (!installed) return 0;
  for (const store::Entry& entry : installed->tree.entries()) {
    const bool inside = entry.path == "opt" || entry.path == "opt/kist" ||
                        entry.path.starts_with("opt/kist/");
    fuzz::expect(inside, "nothing is installed outside of the prefix");
    fuzz::expect((entry.mode & 07022) == 0, "no setuid, and nobody else may write");
  }
  return 0;
}
