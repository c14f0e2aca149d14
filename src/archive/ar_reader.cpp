#include "archive/ar_reader.h"

#include "base/text.h"

namespace kist::archive {
namespace {

constexpr std::string_view kMagic = "!<arch>\n";
constexpr size_t kHeaderBytes = 60;
constexpr size_t kNameBytes = 16;
constexpr size_t kSizeOffset = 48;
constexpr size_t kSizeBytes = 10;
constexpr std::string_view kHeaderEnd = "`\n";
constexpr size_t kMaxMembers = 64;  // A .deb has three, plus what a signer may add.

std::string_view strip_right(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::vector<ArMember>> read_ar(std::string_view file) {
  if (!file.starts_with(kMagic))
    return Error(Code::corrupt, "not an ar archive: it starts with '{}', want '!<arch>'",
                 printable(file.substr(0, kMagic.size())));
  std::vector<ArMember> members;
  size_t at = kMagic.size();
  while (at < file.size()) {
    if (members.size() == kMaxMembers)
      return Error(Code::corrupt, "ar archive has more than {} members", kMaxMembers);
    if (file.size() - at < kHeaderBytes)
      return Error(Code::corrupt, "ar header at offset {} is cut off: {} bytes, want {}", at,
                   file.size() - at, kHeaderBytes);
    const std::string_view header = file.substr(at, kHeaderBytes);
    if (!header.ends_with(kHeaderEnd))
      return Error(Code::corrupt, "ar header at offset {} has no end mark", at);
    std::string_view name = strip_right(header.substr(0, kNameBytes));
    if (name.ends_with('/')) name.remove_suffix(1);
    if (name.empty() || name.find('/') != std::string_view::npos || name.starts_with('#'))
      return Error(Code::corrupt, "ar member at offset {} has the name '{}', which no .deb may have",
                   at, printable(header.substr(0, kNameBytes)));
    const std::string_view size_text = strip_right(header.substr(kSizeOffset, kSizeBytes));
    const auto size = parse_number(size_text);
    if (!size)
      return Error(Code::corrupt, "ar member '{}' at offset {} has the size '{}', not a number",
                   printable(name), at, printable(size_text));
    at += kHeaderBytes;
    if (*size > file.size() - at)
      return Error(Code::corrupt, "ar member '{}' is cut off: {} bytes, want {}", printable(name),
                   file.size() - at, *size);
    members.push_back({std::string(name), file.substr(at, *size)});
    at += *size + (*size & 1);  // Members start at even offsets; the last pad may be missing.
  }
  return members;
}

}  // namespace kist::archive
