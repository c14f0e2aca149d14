// One requirement (PEP 508, with the extensions of pip's requirement files).
#include "python/requirements.h"

#include <algorithm>

#include "base/text.h"
#include "http/client.h"
#include "python/markers.h"
#include "python/versions.h"

namespace kist::python {
namespace {

constexpr size_t kMaxBytes = 64u << 10;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// "git+https:", "https:", "file:" … at the start.
bool starts_with_scheme(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return text.starts_with("file:");
  const std::string_view scheme = text.substr(0, colon);
  return !scheme.empty() && std::all_of(scheme.begin(), scheme.end(),
                                        [](char c) { return is_name_char(c) || c == '+'; });
}

bool is_vcs(std::string_view address) {
  for (const char* scheme : {"git+", "hg+", "svn+", "bzr+"})
    if (address.starts_with(scheme)) return true;
  return false;
}

bool is_archive_name(std::string_view name) {
  for (const char* suffix : {".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar"})
    if (name.ends_with(suffix)) return true;
  return false;
}

// As pip decides: with a slash, or starting with a dot, or an archive's name.
bool looks_like_path(std::string_view text) {
  if (text.starts_with('.') || text.starts_with('/')) return true;
  const std::string_view head = text.substr(0, text.find_first_of(" \t;@=<>!~["));
  return head.find('/') != std::string_view::npos || is_archive_name(head);
}

// For messages: without credentials in the address, if there is one.
std::string shown(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return printable(text);
  size_t start = colon;
  while (start > 0 && (is_name_char(text[start - 1]) || text[start - 1] == '+')) --start;
  return printable(text.substr(0, start)) + http::redact(text.substr(start));
}

class RequirementParser {
 public:
  explicit RequirementParser(std::string_view text) : text_(trim(text)) {}

  Result<Requirement> parse() {
    if (text_.size() > kMaxBytes)
      return Error(Code::invalid, "a requirement of {}", human_bytes(text_.size()));
    out_.text = std::string(text_);
    if (starts_with_scheme(text_) || looks_like_path(text_)) {
      TRY(direct());
    } else {
      TRY(named());
    }
    if (!out_.marker.empty()) TRY(Marker::parse(out_.marker));
    return std::move(out_);
  }

 private:
  Error wrong(std::string_view wanted) const {
    const std::string got =
        at_ < text_.size() ? fmt::format("'{}'", printable(text_.substr(at_, 20))) : "the end";
    return Error(Code::invalid, "'{}' has {} at offset {}, want {}", shown(text_), got, at_,
                 wanted);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool skip(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // What stands before the marker: a ';' with a space before it, since addresses may hold one.
  std::string_view until_marker() {
    size_t end = text_.find(" ;", at_);
    end = std::min({end, text_.find("\t;", at_), text_.size()});
    const std::string_view out = trim(text_.substr(at_, end - at_));
    if (end < text_.size()) out_.marker = trim(text_.substr(text_.find(';', end) + 1));
    return out;
  }

  void set_address(std::string_view address) {
    out_.address = std::string(address);
    if (is_vcs(address)) {
      out_.kind = Requirement::Kind::vcs;
    } else if (address.starts_with("file:")) {
      out_.kind = Requirement::Kind::path;
      address.remove_prefix(std::string_view("file:").size());
      if (address.starts_with("//")) {
        address.remove_prefix(2);
        address.remove_prefix(std::min(address.find('/'), address.size()));  // "localhost"
      }
      address = address.substr(0, address.find('#'));
      out_.address = percent_decode(address).value_or(std::string(address));
    } else {
      out_.kind = starts_with_scheme(address) ? Requirement::Kind::url : Requirement::Kind::path;
    }
  }

  // "#egg=name[extra]" and the wheel's name say what an address holds.
  Result<void> name_from_address() {
    const size_t egg = out_.address.find("egg=");
    if (egg != std::string::npos && egg > out_.address.find('#')) {
      const std::string_view rest = std::string_view(out_.address).substr(egg + 4);
      const std::string_view name = rest.substr(0, rest.find_first_of("&["));
      if (is_valid_name(name)) out_.name = normalize_name(name);
      return {};
    }
    std::string_view file = std::string_view(out_.address);
    file = file.substr(0, file.find_first_of("?#"));
    file.remove_prefix(std::min(file.rfind('/') + 1, file.size()));
    if (const auto wheel = parse_wheel_name(file)) out_.name = normalize_name(wheel->distribution);
    return {};
  }

  Result<void> direct() {
    std::string_view address = until_marker();
    const bool path = !starts_with_scheme(address) || address.starts_with("file:");
    if (path && address.ends_with(']')) {
      const size_t open = address.rfind('[');
      if (open != std::string_view::npos && open > 0) {
        TRY(read_extras(address.substr(open + 1, address.size() - open - 2)));
        address = address.substr(0, open);
      }
    }
    set_address(address);
    return name_from_address();
  }

  Result<void> read_extras(std::string_view list) {
    if (trim(list).empty()) return {};
    for (const std::string_view piece : split(list, ',')) {
      const std::string_view extra = trim(piece);
      if (!is_valid_name(extra)) {
        return Error(Code::invalid, "'{}' has the extra '{}', want letters, digits, '-', '_', '.'",
                     shown(text_), printable(extra));
      }
      out_.extras.push_back(normalize_name(extra));
    }
    return {};
  }

  Result<void> named() {
    const size_t start = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    if (!is_valid_name(name)) {
      at_ = start;
      return wrong("a package name");
    }
    out_.name = normalize_name(name);
    if (skip('[')) {
      const size_t close = text_.find(']', at_);
      if (close == std::string_view::npos) return wrong("']'");
      TRY(read_extras(text_.substr(at_, close - at_)));
      at_ = close + 1;
    }
    if (skip('@')) {
      skip_space();
      const std::string_view address = until_marker();
      if (address.empty()) return wrong("an address");
      set_address(address);
      return {};
    }
    TRY(specifiers());
    if (skip(';')) {
      out_.marker = std::string(trim(text_.substr(at_)));
      if (out_.marker.empty()) return wrong("a marker");
      return {};
    }
    return {};
  }

  Result<void> specifiers() {
    skip_space();
    const bool parenthesis = skip('(');
    const size_t end = std::min(text_.find_first_of(parenthesis ? ")" : ";", at_), text_.size());
    const std::string_view list = trim(text_.substr(at_, end - at_));
    if (parenthesis && end == text_.size()) return wrong("')'");
    if (list.empty() && !parenthesis && end != text_.size()) return {};
    constexpr std::string_view kComparisons = "<>=!~";
    if (!list.empty() && kComparisons.find(list.front()) == std::string_view::npos)
      return wrong("a version comparison such as '==', or ';' and a marker");
    const auto parsed = VersionSpecifiers::parse(list);
    if (!parsed) {
      Error error(Code::invalid, "'{}': {}", shown(text_), parsed.error().frames().front());
      if (list.starts_with('=') && !list.starts_with("=="))
        return std::move(error).hint(fmt::format("write `{}==…`", out_.name));
      return error;
    }
    out_.specifiers = std::string(list);
    at_ = end + (parenthesis ? 1 : 0);
    skip_space();
    if (at_ < text_.size() && text_[at_] != ';') return wrong("';' and a marker, or the end");
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  Requirement out_;
};

std::string what(const Requirement& requirement) {
  const std::string name = requirement.name.empty() ? shown(requirement.text) : requirement.name;
  if (requirement.file.empty()) return name;
  return fmt::format("{}:{}: {}", printable(requirement.file), requirement.line, name);
}

// Leaves the files with one of the hashes.
Result<void> filter_package(LockedPackage& package, const std::vector<std::string>& hashes) {
  const auto allowed = [&](const LockedFile& file) {
    return std::any_of(file.hashes.begin(), file.hashes.end(), [&](const auto& hash) {
      return std::find(hashes.begin(), hashes.end(), hash.first + ":" + hash.second) !=
             hashes.end();
    });
  };
  std::erase_if(package.wheels, [&](const LockedFile& file) { return !allowed(file); });
  if (package.sdist && !allowed(*package.sdist)) package.sdist.reset();
  if (package.archive && !allowed(*package.archive)) package.archive.reset();
  if (!package.wheels.empty() || package.sdist || package.archive) return {};
  return Error(Code::corrupt,
               "no file of {} {} that the index has fits the hashes in the requirements",
               package.name, package.version)
      .hint("if the change is expected, write the hashes again: `pip-compile --generate-hashes`");
}

}  // namespace

Result<Requirement> parse_requirement(std::string_view text) {
  return RequirementParser(text).parse();
}

Result<std::vector<std::string>> requested_names(const std::vector<Requirement>& requirements,
                                                 const Target& target) {
  const MarkerEnvironment environment{.target = target, .extras = {}, .dependency_groups = {}};
  std::vector<std::string> out;
  for (const Requirement& requirement : requirements) {
    const Marker marker = TRY(Marker::parse(requirement.marker), "{}", what(requirement));
    if (!marker.evaluate(environment)) continue;
    out.push_back(requirement.name.empty() ? http::redact(requirement.address) : requirement.name);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<void> apply_hashes(const Requirements& requirements, const Target& target, Lock& lock) {
  if (!requirements.require_hashes) return {};
  const MarkerEnvironment environment{.target = target, .extras = {}, .dependency_groups = {}};
  std::map<std::string, std::vector<std::string>> hashes;
  for (const auto* list : {&requirements.requirements, &requirements.constraints}) {
    for (const Requirement& requirement : *list) {
      const Marker marker = TRY(Marker::parse(requirement.marker), "{}", what(requirement));
      if (!marker.evaluate(environment)) continue;
      if (requirement.hashes.empty() && list == &requirements.requirements) {
        return Error(Code::invalid,
                     "{} has no hash; where one requirement has hashes, all must have them",
                     what(requirement))
            .hint("write all hashes: `pip-compile --generate-hashes`");
      }
      std::vector<std::string>& known = hashes[requirement.name];
      known.insert(known.end(), requirement.hashes.begin(), requirement.hashes.end());
    }
  }
  for (LockedPackage& package : lock.packages) {
    if (package.directory || package.vcs) continue;  // Has no hash by its nature.
    const auto found = hashes.find(package.name);
    if (found == hashes.end() || found->second.empty()) {
      return Error(Code::invalid,
                   "{} {} is needed but has no hash in the requirements; where one requirement has "
                   "hashes, all must have them",
                   package.name, package.version)
          .hint("write all hashes: `pip-compile --generate-hashes`");
    }
    TRY(filter_package(package, found->second));
  }
  return {};
}

}  // namespace kist::python
