// POSIX.1-2017 pax and ustar. Each field is written in the one way that leaves no choice: octal
// with leading zeros and a NUL, user and group names empty, pax records sorted by key.

#include "store/tar_header.h"

#include <algorithm>

#include "base/text.h"

namespace kist::store {
namespace {

constexpr size_t kNameBytes = 100;
constexpr size_t kPrefixBytes = 155;
constexpr uint64_t kMaxId = 07777777;
constexpr uint64_t kMaxOctal11 = 077777777777;

// Offsets and lengths of ustar's fields.
struct Field {
  size_t offset;
  size_t bytes;
};
constexpr Field kName{0, kNameBytes};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kTime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kTarget{157, kNameBytes};
constexpr Field kMagic{257, 8};
constexpr Field kMajor{329, 8};
constexpr Field kMinor{337, 8};
constexpr Field kPrefix{345, kPrefixBytes};

struct UstarValues {
  std::string_view name;
  std::string_view prefix;
  std::string_view target;
  char type;
  uint64_t mode;
  uint64_t uid;
  uint64_t gid;
  uint64_t size_bytes;
  uint64_t time_s;
};

void put(std::string& block, Field field, std::string_view text) {
  KIST_ASSERT(text.size() <= field.bytes);
  block.replace(field.offset, text.size(), text);
}

void put_octal(std::string& block, Field field, uint64_t value) {
  put(block, field, fmt::format("{:0{}o}", value, field.bytes - 1));
}

std::string ustar_block(const UstarValues& values) {
  std::string block(kTarBlock, '\0');
  put(block, kName, values.name);
  put_octal(block, kMode, values.mode);
  put_octal(block, kUid, values.uid);
  put_octal(block, kGid, values.gid);
  put_octal(block, kSize, values.size_bytes);
  put_octal(block, kTime, values.time_s);
  put(block, kType, std::string_view(&values.type, 1));
  put(block, kTarget, values.target);
  put(block, kMagic, std::string_view("ustar\00000", 8));
  put_octal(block, kMajor, 0);
  put_octal(block, kMinor, 0);
  put(block, kPrefix, values.prefix);
  put(block, kChecksum, "        ");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, kChecksum, fmt::format("{:06o}", sum));
  block[kChecksum.offset + 6] = '\0';
  return block;
}

// The slash at which a long path is cut into prefix and name: the last that leaves a prefix that
// fits. npos when there is none.
size_t prefix_end(std::string_view path) {
  const size_t slash = path.rfind('/', std::min(kPrefixBytes, path.size() - 2));
  if (slash == std::string_view::npos || slash == 0 || path.size() - slash - 1 > kNameBytes)
    return std::string_view::npos;
  return slash;
}

// "LENGTH KEY=VALUE\n", where the length counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (rest + fmt::formatted_size("{}", length) != length)
    length = rest + fmt::formatted_size("{}", length);
  return fmt::format("{} {}={}\n", length, key, value);
}

class Header {
 public:
  explicit Header(const Entry& entry) : entry_(entry), path_(entry.path) {
    if (entry.kind == Kind::folder) path_ += '/';
  }

  Result<std::string> make() {
    UstarValues values = {.name = {},
                          .prefix = {},
                          .target = {},
                          .type = type(),
                          .mode = entry_.mode,
                          .uid = 0,
                          .gid = 0,
                          .size_bytes = 0,
                          .time_s = 0};
    place_path(values);
    values.target = fit_text("linkpath", entry_.target);
    values.uid = fit("uid", entry_.uid, kMaxId);
    values.gid = fit("gid", entry_.gid, kMaxId);
    values.size_bytes = fit("size", entry_.size_bytes, kMaxOctal11);
    values.time_s = fit_time();
    TRY(add_xattrs());
    if (records_.empty()) return ustar_block(values);
    return pax_header() + ustar_block(values);
  }

 private:
  char type() const {
    switch (entry_.kind) {
      case Kind::file:
        return '0';
      case Kind::symlink:
        return '2';
      case Kind::folder:
        return '5';
    }
    return '0';
  }

  void place_path(UstarValues& values) {
    const std::string_view path = path_;
    const size_t cut = path.size() <= kNameBytes ? std::string_view::npos : prefix_end(path);
    if (path.size() <= kNameBytes) {
      values.name = path;
    } else if (cut != std::string_view::npos) {
      values.prefix = path.substr(0, cut);
      values.name = path.substr(cut + 1);
    } else {
      add("path", path);
      values.name = path.substr(0, kNameBytes);  // For readers that know no pax.
    }
  }

  std::string_view fit_text(const char* key, std::string_view text) {
    if (text.size() <= kNameBytes) return text;
    add(key, text);
    return text.substr(0, kNameBytes);
  }

  uint64_t fit(const char* key, uint64_t value, uint64_t max) {
    if (value <= max) return value;
    add(key, fmt::format("{}", value));
    return 0;
  }

  uint64_t fit_time() {
    if (entry_.mtime_s >= 0) {
      return fit("mtime", static_cast<uint64_t>(entry_.mtime_s), kMaxOctal11);
    }
    add("mtime", fmt::format("{}", entry_.mtime_s));
    return 0;
  }

  Result<void> add_xattrs() {
    for (const auto& [name, value] : entry_.xattrs) {
      if (name.find('=') != std::string::npos) {
        return Error(Code::unsupported,
                     "'{}' has the extended attribute '{}', which tar cannot hold",
                     printable(entry_.path), printable(name));
      }
      add("SCHILY.xattr." + name, value);
    }
    return {};
  }

  // pax texts are UTF-8 unless they say that they are not.
  void add(std::string key, std::string_view value) {
    const bool is_text = !key.starts_with("SCHILY.");
    if (is_text && !is_valid_utf8(value)) is_binary_ = true;
    records_.emplace_back(std::move(key), value);
  }

  std::string pax_header() {
    if (is_binary_) records_.emplace_back("hdrcharset", "BINARY");
    std::sort(records_.begin(), records_.end());
    // The charset is for the records after it.
    if (is_binary_) {
      const auto charset = std::find_if(records_.begin(), records_.end(),
                                        [](const auto& r) { return r.first == "hdrcharset"; });
      std::rotate(records_.begin(), charset, charset + 1);
    }
    std::string body;
    for (const auto& [key, value] : records_) body += pax_record(key, value);
    const std::string out = ustar_block({.name = "pax",
                                         .prefix = {},
                                         .target = {},
                                         .type = 'x',
                                         .mode = 0644,
                                         .uid = 0,
                                         .gid = 0,
                                         .size_bytes = body.size(),
                                         .time_s = 0});
    body.resize((body.size() + kTarBlock - 1) / kTarBlock * kTarBlock);
    return out + body;
  }

  const Entry& entry_;
  std::string path_;
  std::vector<std::pair<std::string, std::string>> records_;
  bool is_binary_ = false;
};

}  // namespace

Result<std::string> tar_header(const Entry& entry) { return Header(entry).make(); }

}  // namespace kist::store
