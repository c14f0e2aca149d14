// Mounts and sizes as docker's command line spells them.
#include <charconv>
#include <limits>

#include "base/text.h"
#include "launch/paths.h"
#include "launch/request.h"

namespace kist::launch {
namespace {

std::string absolute(std::string_view path, const Host& host) {
  if (path == "~") return host.home;
  if (path.starts_with("~/")) return host_path(path.substr(2), host.home);
  return host_path(path, host.working_dir);
}

Result<void> check_target(std::string_view target) {
  if (!target.starts_with("/"))
    return Error(Code::invalid, "target '{}' is not absolute", printable(target))
        .hint("write it as `SOURCE:/path/inside`");
  if (clean_path(target) == "/")
    return Error(Code::invalid, "target '/' would hide the whole container");
  return {};
}

Result<void> check_source(const std::string& source) {
  if (os::exists(source)) return {};
  return Error(Code::not_found, "source '{}' does not exist", printable(source))
      .hint(fmt::format("`mkdir -p {}`", shell_quote(source)));
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  // "1.5g", as docker takes it.
  const bool has_part = digits < text.size() && text[digits] == '.';
  const size_t end = has_part ? std::min(text.find_first_not_of("0123456789", digits + 1), text.size()) : digits;
  std::string unit = to_lower(text.substr(end));
  if (unit.ends_with("ib")) unit.resize(unit.size() - 2);
  else if (unit.size() == 2 && unit.ends_with("b")) unit.resize(1);
  int shift = -1;
  if (unit.empty() || unit == "b") shift = 0;
  if (unit == "k") shift = 10;
  if (unit == "m") shift = 20;
  if (unit == "g") shift = 30;
  if (unit == "t") shift = 40;
  if (!number || shift < 0)
    return Error(Code::invalid, "'{}' is not a size, for example 512m or 8g", printable(text));
  double part = 0;
  if (has_part) (void)std::from_chars(text.data() + digits, text.data() + end, part);
  const auto bytes_of_part = static_cast<uint64_t>(part * static_cast<double>(uint64_t{1} << shift));
  if (*number + bytes_of_part == 0 || *number >= (std::numeric_limits<uint64_t>::max() >> shift))
    return Error(Code::invalid, "size '{}' is out of range", printable(text));
  return (*number << shift) + bytes_of_part;
}

Result<runtime::Mount> parse_volume(std::string_view text, const Host& host) {
  runtime::Mount mount;
  std::string_view rest = text;
  const size_t last = rest.rfind(':');
  if (last != std::string_view::npos && last != 0 && !rest.substr(last + 1).starts_with("/")) {
    for (const std::string_view option : split(rest.substr(last + 1), ',')) {
      if (option == "ro") mount.read_only = true;
      else if (option != "rw")
        return Error(Code::invalid, "option '{}' is neither ro nor rw", printable(option))
            .hint("write it as `SOURCE:TARGET[:ro]`");
    }
    rest = rest.substr(0, last);
  }
  // A source may hold colons; the target begins at the last ":/".
  const size_t colon = rest.rfind(":/");
  const std::string_view source = colon == std::string_view::npos ? rest : rest.substr(0, colon);
  if (source.empty())
    return Error(Code::invalid, "'{}' has no source", printable(text))
        .hint("write it as `SOURCE:TARGET[:ro]`");
  mount.source = absolute(source, host);
  // One path alone means the same place inside.
  mount.target = colon == std::string_view::npos ? mount.source : std::string(rest.substr(colon + 1));
  TRY(check_source(mount.source));
  TRY(check_target(mount.target));
  mount.target = clean_path(mount.target);
  return mount;
}

Result<runtime::Mount> parse_mount(std::string_view text, const Host& host) {
  runtime::Mount mount;
  for (const std::string_view field : split(text, ',')) {
    const size_t equals = field.find('=');
    const std::string_view key = field.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view("true") : field.substr(equals + 1);
    if (key == "type" && value == "bind") mount.type = runtime::Mount::Type::bind;
    else if (key == "type" && value == "tmpfs") mount.type = runtime::Mount::Type::tmpfs;
    else if (key == "source" || key == "src") mount.source = absolute(value, host);
    else if (key == "target" || key == "destination" || key == "dst") mount.target = value;
    else if (key == "readonly" || key == "ro") mount.read_only = value == "true" || value == "1";
    else if (key == "tmpfs-size") mount.size_bytes = TRY(parse_size(value), "tmpfs-size");
    else if (key != "bind-propagation" && key != "consistency")
      return Error(Code::unsupported, "'{}' is not known here", printable(field))
          .hint("write it as `type=bind,source=SRC,target=DST[,readonly]` or `type=tmpfs,target=DST`");
  }
  TRY(check_target(mount.target));
  mount.target = clean_path(mount.target);
  if (mount.type == runtime::Mount::Type::bind) TRY(check_source(mount.source));
  return mount;
}

Result<runtime::Mount> parse_tmpfs(std::string_view text) {
  runtime::Mount mount;
  mount.type = runtime::Mount::Type::tmpfs;
  const size_t colon = text.find(':');
  mount.target = text.substr(0, colon);
  TRY(check_target(mount.target));
  mount.target = clean_path(mount.target);
  if (colon == std::string_view::npos) return mount;
  for (const std::string_view option : split(text.substr(colon + 1), ',')) {
    if (option.starts_with("size=")) mount.size_bytes = TRY(parse_size(option.substr(5)));
    else if (option == "ro") mount.read_only = true;
    else if (option != "rw" && option != "exec" && option != "nosuid" && option != "nodev")
      return Error(Code::unsupported, "option '{}' is not known here", printable(option))
          .hint("write it as `PATH[:size=64m]`");
  }
  return mount;
}

}  // namespace kist::launch
