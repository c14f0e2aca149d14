#include "python/bytecode.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "os/files.h"
#include "python/bytecode_program.h"

namespace kist::python {
namespace {

// Raise it when other byte-code would be made of the same sources by the same interpreter.
constexpr std::string_view kRecipe = "kist-bytecode-1";
constexpr std::string_view kSourceEnding = ".py";
constexpr uint64_t kMaxBytes = 256u << 20;
constexpr size_t kHeaderBytes = 16;
constexpr uint32_t kUncheckedHash = 1;

uint32_t number_at(std::string_view bytes, size_t offset) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// PEP 552: magic number, flags, hash of the source.
Result<void> check_header(std::string_view bytes, std::string_view path,
                          std::optional<uint32_t>& magic) {
  if (bytes.size() < kHeaderBytes || bytes.substr(2, 2) != "\r\n")
    return Error(Code::corrupt, "'{}' is no byte-code", printable(path));
  if (number_at(bytes, 4) != kUncheckedHash)
    return Error(Code::corrupt, "'{}' has flags {:#x}, want an unchecked hash", printable(path),
                 number_at(bytes, 4));
  if (!magic) magic = number_at(bytes, 0);
  if (number_at(bytes, 0) != *magic)
    return Error(Code::corrupt, "'{}' has magic number {}, the others {}", printable(path),
                 number_at(bytes, 0) & 0xffff, *magic & 0xffff);
  return {};
}

Result<std::string> read_regular(const os::Fd& file) {
  struct stat st = {};
  if (::fstat(file.get(), &st) != 0) return Error::from_errno(errno, "stat");
  if (!S_ISREG(st.st_mode)) return Error(Code::corrupt, "not a regular file");
  return os::read_all(file, kMaxBytes);
}

}  // namespace

std::string BytecodeTarget::cache_tag() const {
  std::string tag = "cpython-";
  for (const char c : python_minor)
    if (c != '.') tag += c;
  return tag;
}

std::string bytecode_path(std::string_view source, const BytecodeTarget& target) {
  const std::string optimization = target.level == 0 ? "" : fmt::format(".opt-{}", target.level);
  const size_t slash = source.rfind('/');
  const size_t base = slash == std::string_view::npos ? 0 : slash + 1;
  const std::string_view stem = source.substr(base, source.size() - base - kSourceEnding.size());
  return fmt::format("{}__pycache__/{}.{}{}.pyc", source.substr(0, base), stem, target.cache_tag(),
                     optimization);
}

std::vector<std::string> bytecode_sources(const store::Tree& tree, const BytecodeTarget& target) {
  std::vector<std::string> out;
  for (const store::Entry& entry : tree.entries()) {
    const std::string_view name = os::name_of(entry.path);
    if (entry.kind != store::Kind::file || !name.ends_with(kSourceEnding) ||
        name.size() == kSourceEnding.size())
      continue;
    if (tree.find(bytecode_path(entry.path, target)) == nullptr) out.push_back(entry.path);
  }
  return out;
}

std::string bytecode_list(std::span<const std::string> sources) {
  std::string out;
  for (const std::string& source : sources) {
    out += source;
    out += '\0';
  }
  return out;
}

std::vector<std::string> bytecode_command(const BytecodeRun& run, const BytecodeTarget& target) {
  // -S, -s: no site-packages, whose .pth files are code. -B: no byte-code beside our imports. Not
  // -I or -E, which would ignore the hash seed.
  return {run.python,
          "-S",
          "-s",
          "-B",
          "-c",
          std::string(kBytecodeProgram),
          run.root,
          run.list,
          run.output,
          std::to_string(target.level),
          std::to_string(std::max(run.workers, 1u))};
}

std::vector<std::string> bytecode_environment() {
  return {"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", "PYTHONHASHSEED=0"};
}

Result<store::Tree> collect_bytecode(const std::string& folder,
                                     std::span<const std::string> sources,
                                     const BytecodeTarget& target, store::ObjectSink& sink) {
  const os::Fd root = TRY(os::open_file(folder, O_RDONLY | O_DIRECTORY));
  store::TreeBuilder builder(sink);
  std::optional<uint32_t> magic;
  for (const std::string& source : sources) {
    const std::string path = bytecode_path(source, target);
    const auto file = os::open_in_root(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    // Not every source compiles: packages ship files for other versions of Python.
    if (!file && file.error().code() == Code::not_found) continue;
    if (!file) return file.error();
    const std::string bytes = TRY(read_regular(*file), "reading '{}'", printable(path));
    TRY(check_header(bytes, path, magic));
    TRY(builder.file(path, 0644, bytes));
  }
  return std::move(builder).finish();
}

std::string bytecode_key(std::string_view package, std::string_view interpreter,
                         const BytecodeTarget& target) {
  std::string text;
  for (const std::string& field : {std::string(kRecipe), std::string(package),
                                   std::string(interpreter), target.cache_tag(),
                                   std::to_string(target.level)})
    text += fmt::format("{}:{}\n", field.size(), field);
  return oci::Sha256::of(text).hex();
}

}  // namespace kist::python
