#include "python/wheel.h"

#include <algorithm>

#include "base/text.h"
#include "python/pylock.h"
#include "python/tags.h"
#include "python/versions.h"

namespace kist::python {
namespace {

constexpr size_t kMaxHeaderLines = 100'000;
constexpr std::string_view kDistInfo = ".dist-info";
constexpr std::string_view kData = ".data";

// Equal as versions; as texts when one of them is none (old tools wrote such).
bool same_version(std::string_view wanted, std::string_view got, bool without_local) {
  const auto a = Version::parse(wanted);
  const auto b = Version::parse(got);
  if (!a || !b) return wanted == got;
  return *a == *b || (without_local && !a->has_local() && *a == b->without_local());
}

bool is_safe_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.front() != '.' && name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), allowed);
}

// The one *.dist-info folder at the top. Compared without case, since on some file systems two
// spellings are one folder, and a second truth about the package is what an attacker would want.
Result<std::string> find_dist_info(const archive::ZipFile& zip) {
  std::string found;
  for (const archive::ZipEntry& entry : zip.entries()) {
    const std::string_view top = entry.name.substr(0, entry.name.find('/'));
    if (top == found || top.size() <= kDistInfo.size()) continue;
    const std::string_view ending = top.substr(top.size() - kDistInfo.size());
    if (to_lower(ending) != kDistInfo) continue;
    if (!found.empty())
      return Error(Code::invalid, "two folders of metadata, '{}' and '{}'", printable(found),
                   printable(top));
    if (ending != kDistInfo)
      return Error(Code::invalid, "the folder '{}' is misspelt, want '.dist-info'", printable(top));
    found = top;
  }
  if (found.empty()) return Error(Code::invalid, "there is no .dist-info folder: not a wheel");
  return found;
}

// The folder of data that is to be spread. Its name may be spelt otherwise than that of the metadata
// ("Foo-1.0.data" beside "foo-1.0.dist-info"); a folder of another package's name is just a folder.
Result<std::string> find_data(const archive::ZipFile& zip, std::string_view stem) {
  std::string found;
  for (const archive::ZipEntry& entry : zip.entries()) {
    const std::string_view top = entry.name.substr(0, entry.name.find('/'));
    if (top == found || !top.ends_with(kData)) continue;
    if (normalize_name(top.substr(0, top.size() - kData.size())) != normalize_name(stem)) continue;
    if (!found.empty())
      return Error(Code::invalid, "two folders of data, '{}' and '{}'", printable(found),
                   printable(top));
    found = top;
  }
  return found.empty() ? fmt::format("{}{}", stem, kData) : found;
}

Result<std::string> read_required(const archive::ZipFile& zip, const std::string& name,
                                  archive::ZipScratch& scratch) {
  const archive::ZipEntry* entry = zip.find(name);
  if (entry == nullptr || entry->is_folder)
    return Error(Code::invalid, "there is no '{}'", printable(name));
  const std::string_view bytes = TRY(zip.read(*entry, scratch));
  return std::string(bytes);
}

Result<void> check_wheel_version(const Headers& wheel, std::vector<std::string>& warnings) {
  const std::string_view text = wheel.get("Wheel-Version");
  const auto parts = split(text, '.');
  const auto major = parse_number(parts.front());
  const auto minor = parts.size() == 2 ? parse_number(parts.back()) : std::nullopt;
  if (!major || !minor)
    return Error(Code::invalid, "WHEEL has the Wheel-Version '{}', want '1.0'", printable(text));
  if (*major != 1)
    return Error(Code::unsupported, "a wheel of format {}, only 1 is known", printable(text));
  if (*minor > 0) warnings.push_back(fmt::format("the wheel has format {}, newer than 1.0", text));
  return {};
}

Result<void> check_identity(const WheelInfo& info, const WheelIdentity& identity) {
  const WheelName file = TRY(parse_wheel_name(identity.file_name));
  const std::string name = normalize_name(info.name);
  if (normalize_name(file.distribution) != name)
    return Error(Code::invalid, "METADATA names '{}', the file name '{}'", info.name,
                 printable(file.distribution));
  if (!same_version(file.version, info.version, true))
    return Error(Code::invalid, "METADATA has version '{}', the file name '{}'",
                 printable(info.version), printable(file.version));
  if (!identity.name.empty() && normalize_name(identity.name) != name)
    return Error(Code::invalid, "METADATA names '{}', the lock '{}'", info.name,
                 printable(identity.name));
  if (!identity.version.empty() && !same_version(identity.version, info.version, true))
    return Error(Code::invalid, "METADATA has version '{}', the lock '{}'",
                 printable(info.version), printable(identity.version));
  // As pip: the folder must at least begin with the name. Its version may be spelt otherwise.
  if (!normalize_name(info.dist_info).starts_with(name))
    return Error(Code::invalid, "the folder '{}' does not belong to '{}'",
                 printable(info.dist_info), info.name);
  return {};
}

}  // namespace

Result<Headers> Headers::parse(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // A byte order mark.
  Headers out;
  size_t count = 0;
  for (const std::string_view line : lines(text)) {
    if (line.empty()) break;
    if (++count > kMaxHeaderLines)
      return Error(Code::invalid, "more than {} header lines", kMaxHeaderLines);
    if (line.front() == ' ' || line.front() == '\t') {
      if (out.fields_.empty()) return Error(Code::invalid, "the first line is a continuation");
      out.fields_.back().second += '\n';
      out.fields_.back().second += trim(line);
      continue;
    }
    const size_t colon = line.find(':');
    // Python's email parser takes such a line for the start of the body.
    if (colon == std::string_view::npos) break;
    out.fields_.emplace_back(to_lower(trim(line.substr(0, colon))), trim(line.substr(colon + 1)));
  }
  return out;
}

std::string_view Headers::get(std::string_view name) const {
  const std::string wanted = to_lower(name);
  for (const auto& [key, value] : fields_)
    if (key == wanted) return value;
  return {};
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  const std::string wanted = to_lower(name);
  std::vector<std::string_view> out;
  for (const auto& [key, value] : fields_)
    if (key == wanted) out.push_back(value);
  return out;
}

Result<WheelInfo> inspect_wheel(const archive::ZipFile& zip, const WheelIdentity& identity,
                                archive::ZipScratch& scratch) {
  WheelInfo info;
  info.dist_info = TRY(find_dist_info(zip));
  const std::string_view stem =
      std::string_view(info.dist_info).substr(0, info.dist_info.size() - kDistInfo.size());
  info.data = TRY(find_data(zip, stem));
  const std::string wheel_text = TRY(read_required(zip, info.dist_info + "/WHEEL", scratch));
  const Headers wheel = TRY(Headers::parse(wheel_text), "reading WHEEL");
  TRY(check_wheel_version(wheel, info.warnings));
  if (zip.find(info.dist_info + "/RECORD") == nullptr)
    return Error(Code::invalid, "there is no '{}/RECORD'", printable(info.dist_info));
  const std::string text = TRY(read_required(zip, info.dist_info + "/METADATA", scratch));
  const Headers metadata = TRY(Headers::parse(text), "reading METADATA");
  info.name = metadata.get("Name");
  info.version = metadata.get("Version");
  if (!is_safe_name(info.name))
    return Error(Code::invalid, "METADATA has the name '{}', which no package can have",
                 printable(info.name));
  TRY(check_identity(info, identity));
  return info;
}

Result<std::string> read_wheel_metadata(const std::string& path, const WheelIdentity& identity) {
  const archive::ZipFile zip = TRY(archive::ZipFile::open(path, kWheelLimits));
  archive::ZipScratch scratch;
  const WheelInfo info = TRY(inspect_wheel(zip, identity, scratch), "reading wheel '{}'",
                             printable(identity.file_name));
  return TRY(read_required(zip, info.dist_info + "/METADATA", scratch));
}

}  // namespace kist::python
