#include "store/layout.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/text.h"
#include "os/files.h"

namespace kist::store {
namespace {

constexpr std::string_view kVersionPrefix = "kist store ";
constexpr uint64_t kVersion = 1;
constexpr size_t kMaxNameComponentBytes = 200;
constexpr size_t kHexDigits = oci::Digest::kBytes * 2;
constexpr uint32_t kPlainMode = 0644;

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(".-_+").find(c) != std::string_view::npos;
}

// Not os::make_folders alone: the mode must not depend on the umask.
Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) {
    if (errno == EEXIST) return {};
    return Error::from_errno(errno, "create folder '{}'", printable(path));
  }
  if (::chmod(path.c_str(), 0755) != 0)
    return Error::from_errno(errno, "chmod '{}'", printable(path));
  return {};
}

Result<void> make_shards(const std::string& folder) {
  TRY(make_folder(folder));
  for (int i = 0; i < 256; ++i) TRY(make_folder(fmt::format("{}/{:02x}", folder, i)));
  return {};
}

}  // namespace

std::string object_name(const oci::Digest& object, uint32_t mode) {
  std::string name = tree_name(object);
  mode &= 0777;  // Only these reach the disk, so 4755 and 755 are one inode.
  if (mode != kPlainMode) name += fmt::format(".{:o}", mode);
  return name;
}

std::optional<ObjectName> parse_object_name(std::string_view shard, std::string_view file) {
  const size_t tilde = file.find(".~");
  const std::string_view name = file.substr(0, tilde);
  if (tilde != std::string_view::npos && !parse_number(file.substr(tilde + 2))) return std::nullopt;
  const size_t dot = name.find('.');
  uint32_t mode = kPlainMode;
  if (dot != std::string_view::npos) {
    const std::string_view digits = name.substr(dot + 1);
    if (digits.empty() || digits.size() > 3) return std::nullopt;
    mode = 0;
    for (const char c : digits) {
      if (c < '0' || c > '7') return std::nullopt;
      mode = mode * 8 + static_cast<uint32_t>(c - '0');
    }
  }
  const Result<oci::Digest> digest =
      oci::Digest::parse_hex(fmt::format("{}{}", shard, name.substr(0, dot)));
  // One spelling only: "x.0755" and "x.644" are nobody's.
  if (!digest || object_name(*digest, mode) != fmt::format("{}/{}", shard, name))
    return std::nullopt;
  return ObjectName{.digest = *digest, .mode = mode, .is_spare = tilde != std::string_view::npos};
}

std::string tree_name(const oci::Digest& tree) {
  std::string name = tree.hex();
  name.insert(2, 1, '/');
  KIST_ASSERT(name.size() == kHexDigits + 1);
  return name;
}

Result<void> check_name(std::string_view name) {
  for (const std::string_view part : split(name, '/')) {
    if (part.empty())
      return Error(Code::invalid, "name '{}' has an empty component", printable(name));
    if (part.front() == '.')
      return Error(Code::invalid, "name '{}' has a component that starts with '.'",
                   printable(name));
    if (part.size() > kMaxNameComponentBytes) {
      return Error(Code::invalid, "name '{}' has a component of {} bytes, more than {}",
                   printable(name, 60), part.size(), kMaxNameComponentBytes);
    }
    for (const char c : part) {
      if (is_name_byte(c)) continue;
      return Error(Code::invalid, "name '{}' has '{}', want letters, digits and . - _ + /",
                   printable(name), printable(std::string_view(&c, 1)));
    }
  }
  return {};
}

Result<void> make_layout(const std::string& home) {
  // Nobody else's business: contents may be private, and only their owner mounts them.
  if (!os::exists(home)) TRY(os::make_folders(home, 0700));
  TRY(make_shards(os::join(home, kObjectsFolder)));
  TRY(make_shards(os::join(home, kTreesFolder)));
  for (const std::string_view folder :
       {kNamesFolder, kRootsFolder, kStagingFolder, kProjectsFolder, kQuarantineFolder})
    TRY(make_folder(os::join(home, folder)));
  return os::write_file_durably(os::join(home, kVersionFile),
                                fmt::format("{}{}\n", kVersionPrefix, kVersion));
}

Result<void> check_version(const std::string& home) {
  const std::string path = os::join(home, kVersionFile);
  const std::string text = TRY(os::read_file(path, 4096));
  const std::string_view line = trim(text);
  const auto version = line.starts_with(kVersionPrefix)
                           ? parse_number(line.substr(kVersionPrefix.size()))
                           : std::nullopt;
  if (!version) {
    return Error(Code::corrupt, "'{}' is '{}', want '{}{}'", printable(path), printable(line, 40),
                 kVersionPrefix, kVersion);
  }
  if (*version > kVersion) {
    return Error(Code::unsupported, "store '{}' has the version {}, this kist knows {}",
                 printable(home), *version, kVersion)
        .hint("update kist, or use another folder: `KIST_HOME=… kist …`");
  }
  return {};
}

std::string boot_id() {
  auto text = os::read_file("/proc/sys/kernel/random/boot_id", 4096);
  return text ? std::string(trim(*text)) : std::string();
}

Error disk_error(int err, const std::string& home, std::string_view what) {
  if (err == EDQUOT) {
    return Error(Code::unavailable, "{}: the disk quota of this user is used up", what)
        .hint("`kist gc`");
  }
  if (err != ENOSPC) return Error::from_errno(err, "{}", what);
  const auto free = os::free_bytes(home);
  return Error(Code::unavailable, "{}: the disk is full, {} free in '{}'", what,
               free ? human_bytes(*free) : "an unknown amount", printable(home))
      .hint("`kist gc`");
}

}  // namespace kist::store
