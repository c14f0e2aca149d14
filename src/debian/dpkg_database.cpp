#include "debian/dpkg_database.h"

#include <openssl/evp.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "debian/control.h"

namespace kist::debian {
namespace {

constexpr std::string_view kFolder = "var/lib/dpkg/";

std::string md5_of(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  KIST_ASSERT(::EVP_Digest(bytes.data(), bytes.size(), digest, &size, ::EVP_md5(), nullptr) == 1);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

// " /path md5" lines of the field Conffiles.
Result<std::string> conffiles_field(const DebMeta& meta, const RootView& root) {
  std::string out;
  for (const std::string_view line : lines(meta.file("conffiles"))) {
    const std::string_view path = trim(line);
    if (!path.starts_with('/')) continue;  // "remove-on-upgrade /path" names what is not here.
    const store::Entry* entry = root.find(path);
    std::string hash = "newconffile";
    if (entry != nullptr && entry->kind == store::Kind::file) {
      const std::string text = TRY(root.read(path));
      hash = md5_of(text);
    }
    out += fmt::format("\n {} {}", path, hash);
  }
  return out;
}

Result<std::string> status_of(const DatabaseEntry& package, const RootView& root) {
  const Paragraph control = TRY(parse_paragraph(package.meta->file("control")), "control file of '{}'",
                                printable(package.package));
  const std::string conffiles = TRY(conffiles_field(*package.meta, root));
  std::string out = fmt::format("Package: {}\nStatus: install ok installed\n", package.package);
  for (const auto& [name, value] : control.fields()) {
    if (to_lower(name) == "package" || to_lower(name) == "conffiles") continue;
    // dpkg writes Conffiles before the description, which ends the paragraph in practice.
    if (to_lower(name) == "description" && !conffiles.empty()) out += "Conffiles:" + conffiles + "\n";
    out += value.starts_with('\n') ? name + ":" + value + "\n" : name + ": " + value + "\n";
  }
  if (!control.has("Description") && !conffiles.empty()) out += "Conffiles:" + conffiles + "\n";
  return out;
}

bool is_same(const DebMeta& meta) {
  const auto control = parse_paragraph(meta.file("control"));
  return control && control->get("Multi-Arch") == "same";
}

bool is_script(std::string_view name) {
  return name == "preinst" || name == "postinst" || name == "prerm" || name == "postrm" ||
         name == "config";
}

// Who wants to hear of what: "interest[-await|-noawait] NAME".
void note_triggers(const DatabaseEntry& package, std::map<std::string, std::string>& named,
                   std::string& files) {
  for (const std::string_view raw : lines(package.meta->file("triggers"))) {
    const std::string_view line = trim(raw.substr(0, raw.find('#')));
    if (!line.starts_with("interest")) continue;
    const size_t space = line.find_first_of(" \t");
    if (space == std::string_view::npos) continue;
    const std::string_view name = trim(line.substr(space));
    const bool waits = !line.substr(0, space).ends_with("-noawait");
    const std::string who = package.package + (waits ? "" : "/noawait");
    if (name.starts_with('/')) {
      files += fmt::format("{} {}\n", name, who);
    } else if (!name.empty() && name.find('/') == std::string_view::npos && name[0] != '.') {
      named[std::string(name)] += who + "\n";
    }
  }
}

Result<void> add_info(const DatabaseEntry& package, store::TreeBuilder& builder) {
  std::string stem = std::string(kFolder) + "info/" + package.package;
  if (is_same(*package.meta)) stem += ":" + package.architecture;
  std::string list;
  for (const std::string& path : package.meta->paths) list += path + "\n";
  TRY(builder.file(stem + ".list", 0644, list));
  for (const auto& [name, text] : package.meta->control) {
    if (name == "control") continue;
    TRY(builder.file(stem + "." + name, is_script(name) ? 0755 : 0644, text));
  }
  return {};
}

// "path-exclude=/usr/share/doc/*": a later dpkg in the image leaves the same out.
std::string filter_config(const PathFilter& filter) {
  std::string out;
  const std::string text = filter.text();
  for (const std::string_view line : lines(text)) {
    const size_t space = line.find(' ');
    out += fmt::format("{}={}\n", line.substr(0, space), line.substr(space + 1));
  }
  return out;
}

}  // namespace

Result<void> add_dpkg_database(std::vector<DatabaseEntry> packages, const RootView& root,
                               const PathFilter& filter, store::TreeBuilder& builder) {
  std::sort(packages.begin(), packages.end(), [](const auto& a, const auto& b) {
    return std::pair(a.package, a.architecture) < std::pair(b.package, b.architecture);
  });
  std::string status;
  std::map<std::string, std::string> named;
  std::string files;
  for (const DatabaseEntry& package : packages) {
    const std::string text = TRY(status_of(package, root));
    status += text + "\n";
    note_triggers(package, named, files);
    TRY(add_info(package, builder));
  }
  const std::string folder(kFolder);
  TRY(builder.file(folder + "status", 0644, status));
  TRY(builder.file(folder + "info/format", 0644, "1\n"));
  TRY(builder.file(folder + "triggers/File", 0644, files));
  for (const auto& [name, text] : named) {
    TRY(builder.file(folder + "triggers/" + name, 0644, text));
  }
  for (const char* name : {"available", "diversions", "statoverride", "triggers/Unincorp"}) {
    TRY(builder.file(folder + name, 0644, ""));
  }
  for (const char* name : {"lock", "lock-frontend", "triggers/Lock"}) {
    TRY(builder.file(folder + name, 0640, ""));
  }
  for (const char* name : {"alternatives", "info", "parts", "triggers", "updates"})
    builder.folder(folder + name);
  const std::string config = filter_config(filter);
  if (!config.empty()) {
    TRY(builder.file("etc/dpkg/dpkg.cfg.d/excludes", 0644, config));
  }
  return {};
}

}  // namespace kist::debian
