#include "debian/fixups.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "debian/certificates.h"
#include "debian/control.h"
#include "debian/dpkg_database.h"
#include "debian/ld_cache.h"
#include "os/files.h"

namespace kist::debian {
namespace {

constexpr uint32_t kMailGroup = 8, kShadowGroup = 42, kUtmpGroup = 43;  // base-passwd's.

// Collects entries by path, the last one wins, and remembers which folders were meant.
class Fixups {
 public:
  Fixups(const FixupInput& input, const RootView& root, store::ObjectSink& sink)
      : input_(input), root_(root), sink_(sink) {}

  Result<store::Tree> make() {
    add_layout();
    TRY(add_accounts());
    TRY(add_base_files());
    TRY(add_zone_and_shells());
    TRY(add_python());
    TRY(add_edits());
    TRY(add_parts());
    return finish();
  }

 private:
  void put(store::Entry entry) {
    std::string path = entry.path;
    entries_.insert_or_assign(std::move(path), std::move(entry));
  }
  void folder(const std::string& path, uint32_t mode = 0755, uint32_t gid = 0) {
    put({.path = path, .kind = store::Kind::folder, .mode = mode, .gid = gid});
    meant_.insert(path);
  }
  void symlink(const std::string& path, const std::string& target) {
    put({.path = path, .kind = store::Kind::symlink, .mode = 0777, .target = target});
  }
  Result<void> file(const std::string& path, std::string_view bytes, uint32_t mode = 0644,
                    uint32_t gid = 0) {
    const store::Object object = TRY(sink_.put(bytes, mode));
    put({.path = path,
         .mode = mode,
         .gid = gid,
         .object = object.digest,
         .size_bytes = object.size_bytes});
    return {};
  }
  // A copy of a file of a package, when there is one and nothing stands at `to` yet.
  void copy(const std::string& from, const std::string& to) {
    const store::Entry* source = root_.find(from);
    if (source == nullptr || source->kind != store::Kind::file || root_.find_link(to) != nullptr)
      return;
    store::Entry entry = *source;
    entry.path = to;
    put(std::move(entry));
  }
  bool has(std::string_view package) const {
    return std::any_of(input_.packages.begin(), input_.packages.end(),
                       [&](const InstalledDeb& installed) { return installed.deb.name == package; });
  }

  // Folders that a kernel or a runtime mounts on, and what base-files makes.
  void add_layout() {
    for (const char* path : {"boot", "dev", "etc", "home", "media", "mnt", "opt", "srv", "run",
                             "var/opt", "etc/opt", "usr/local/bin", "usr/local/etc",
                             "usr/local/games", "usr/local/include", "usr/local/lib",
                             "usr/local/sbin", "usr/local/share/man", "usr/local/src"})
      folder(path);
    folder("proc", 0555);
    folder("sys", 0555);
    folder("root", 0700);
    folder("tmp", 01777);
    folder("var/tmp", 01777);
    folder("run/lock", 01777);
    folder("var/mail", 02775, kMailGroup);
    symlink("var/run", "/run");
    symlink("var/lock", "/run/lock");
    symlink("var/spool/mail", "../mail");
    symlink("usr/local/man", "share/man");
  }

  Result<void> add_accounts() {
    const std::string passwd = TRY(root_.read_if_exists("/usr/share/base-passwd/passwd.master"));
    const std::string group = TRY(root_.read_if_exists("/usr/share/base-passwd/group.master"));
    accounts_ = TRY(Accounts::from_masters(passwd, group), "reading base-passwd");
    // In the order of names, so that numbers do not depend on how packages were ordered.
    std::map<std::string, const ScriptPlan*> plans;
    for (size_t i = 0; i < input_.packages.size(); ++i)
      plans[input_.packages[i].deb.name] = &input_.plans[i];
    for (const std::string& path : root_.children("/usr/lib/sysusers.d")) {
      if (!path.ends_with(".conf")) continue;
      const std::string text = TRY(root_.read(path));
      accounts_.add_sysusers(text);
    }
    for (const auto& [name, plan] : plans)
      for (const std::vector<std::string>& command : plan->account_commands)
        accounts_.add_by_command(command);
    if (passwd.empty()) return {};
    TRY(file("etc/passwd", accounts_.passwd()));
    TRY(file("etc/group", accounts_.group()));
    TRY(file("etc/shadow", accounts_.shadow(), 0640, kShadowGroup));
    return file("etc/gshadow", accounts_.gshadow(), 0640, kShadowGroup);
  }

  Result<void> add_base_files() {
    const std::string from = "usr/share/base-files/";
    copy(from + "dot.profile", "root/.profile");
    copy(from + "dot.bashrc", "root/.bashrc");
    copy(from + "profile", "etc/profile");
    copy(from + "motd", "etc/motd");
    copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf");
    copy(from + "nsswitch.conf", "etc/nsswitch.conf");
    if (root_.exists("/etc/dpkg/origins/debian")) symlink("etc/dpkg/origins/default", "debian");
    TRY(file("var/log/wtmp", "", 0664, kUtmpGroup));
    TRY(file("var/log/btmp", "", 0660, kUtmpGroup));
    TRY(file("var/log/lastlog", "", 0664, kUtmpGroup));
    // Empty: whoever runs the tree fills or mounts over them.
    for (const char* name : {"etc/machine-id", "etc/hosts", "etc/resolv.conf", "etc/hostname"}) {
      TRY(file(name, ""));
    }
    return {};
  }

  Result<void> add_zone_and_shells() {
    if (root_.exists("/usr/share/zoneinfo/Etc/UTC")) {
      symlink("etc/localtime", "/usr/share/zoneinfo/Etc/UTC");
      TRY(file("etc/timezone", "Etc/UTC\n"));
    }
    std::vector<std::string> shells;
    for (const std::string& path : root_.children("/usr/share/debianutils/shells.d")) {
      const std::string text = TRY(root_.read(path));
      for (const std::string_view line : lines(text))
        if (line.starts_with('/')) shells.emplace_back(line);
    }
    std::string text = TRY(root_.read_if_exists("/usr/share/debianutils/shells"));
    if (text.empty()) return {};
    const std::vector<std::string_view> known = lines(text);
    std::string more;
    for (const std::string& shell : shells) {
      const std::string other =
          shell.starts_with("/usr/") ? shell.substr(4) : fmt::format("/usr{}", shell);
      for (const std::string& path : {shell, other})
        if (std::find(known.begin(), known.end(), path) == known.end()) more += path + "\n";
    }
    return file("etc/shells", text + more);
  }

  Result<void> add_python() {
    for (const InstalledDeb& installed : input_.packages) {
      const std::string& name = installed.deb.name;
      if (name == "python3") {
        TRY(file("etc/python3/debian_config",
                 "[DEFAULT]\n# how to byte-compile (comma separated: standard, optimize)\n"
                 "byte-compile = standard\n"));
      }
      if (!name.starts_with("python3.") || !name.ends_with("-minimal")) continue;
      const std::string version = name.substr(0, name.size() - 8);
      folder("usr/local/lib/" + version + "/dist-packages");
    }
    return {};
  }

  Result<void> add_edits() {
    for (const ScriptPlan& plan : input_.plans) {
      for (const FileEdit& edit : plan.edits) {
        TRY(apply(edit));
      }
    }
    return {};
  }

  // The entry as it stands now: by an earlier fixup, or as a package brings it.
  const store::Entry* current(const std::string& path) const {
    const auto found = entries_.find(path);
    return found != entries_.end() ? &found->second : root_.tree().find(path);
  }

  Result<void> apply(const FileEdit& edit) {
    const std::string path = real_place(edit.path);
    if (path.empty() || path.starts_with("proc/") || path.starts_with("sys/") ||
        path.starts_with("dev/") || path.starts_with("run/"))
      return {};
    const store::Entry* old = current(path);
    switch (edit.what) {
      case FileEdit::What::folder:
        if (old == nullptr) folder(path, edit.mode.value_or(0755));
        break;
      case FileEdit::What::symlink:
        if (old == nullptr || old->kind == store::Kind::symlink) symlink(path, edit.other);
        return {};
      case FileEdit::What::empty_file:
        if (old == nullptr) {
          TRY(file(path, "", edit.mode.value_or(0644)));
        }
        break;
      case FileEdit::What::copy:
        copy(edit.other, path);
        break;
      case FileEdit::What::mode:
      case FileEdit::What::owner:
        break;
    }
    return change(path, edit);
  }

  // Mode and owner of what is there. An object is kept per mode, so a new mode stores it again.
  Result<void> change(const std::string& path, const FileEdit& edit) {
    const store::Entry* old = current(path);
    if (old == nullptr || old->kind == store::Kind::symlink) return {};
    store::Entry entry = *old;
    if (edit.what == FileEdit::What::mode || edit.what == FileEdit::What::empty_file)
      entry.mode = edit.mode.value_or(entry.mode);
    if (const auto uid = accounts_.uid_of(edit.user)) entry.uid = *uid;
    if (const auto gid = accounts_.gid_of(edit.group)) entry.gid = *gid;
    if (entry == *old) return {};
    if (entry.kind == store::Kind::file && entry.mode != old->mode) {
      auto read = old->size_bytes == 0 ? Result<std::string>("") : root_.read_entry(*old);
      const std::string bytes = TRY(std::move(read));
      TRY(sink_.put(bytes, entry.mode));
    }
    if (entry.kind == store::Kind::folder) meant_.insert(path);
    put(std::move(entry));
    return {};
  }

  // Where a path really lies: its folder may be reached through a link.
  std::string real_place(const std::string& absolute) const {
    std::string path = merged_path(absolute.substr(1));
    while (path.ends_with('/')) path.pop_back();
    const std::string parent = os::parent_of(path);
    const store::Entry* folder = parent == "." ? nullptr : root_.find(parent);
    if (folder == nullptr || folder->kind != store::Kind::folder) return path;
    return folder->path + "/" + std::string(os::name_of(path));
  }

  // What has a file of its own.
  Result<void> add_parts() {
    store::TreeBuilder builder(sink_);
    std::vector<Alternative> alternatives;
    std::vector<DatabaseEntry> database;
    LibraryMap libraries;
    std::string libc_version;
    for (size_t i = 0; i < input_.packages.size(); ++i) {
      const InstalledDeb& installed = input_.packages[i];
      const std::vector<Alternative>& own = input_.plans[i].alternatives;
      alternatives.insert(alternatives.end(), own.begin(), own.end());
      database.push_back({installed.deb.name, installed.deb.architecture, &installed.meta});
      for (const Library& library : installed.meta.libraries)
        libraries.emplace(library.path, &library.facts);
      if (installed.deb.name == "libc-bin") libc_version = installed.deb.version;
    }
    TRY(add_alternatives(alternatives, root_, builder));
    TRY(add_certificates(root_, builder));
    TRY(add_dpkg_database(std::move(database), root_, input_.options.filter, builder));
    const store::Tree parts = TRY(std::move(builder).finish());
    for (const store::Entry& entry : parts.entries())
      if (entry.kind != store::Kind::folder || !entries_.contains(entry.path)) put(entry);
    TRY(add_diversions());
    if (libc_version.empty()) return {};
    const LdCache cache =
        TRY(make_ld_cache(root_, libraries, input_.options.architecture, libc_version),
            "writing ld.so.cache");
    for (const auto& [path, target] : cache.links) symlink(path, target);
    return file("etc/ld.so.cache", cache.bytes);
  }

  Result<void> add_diversions() {
    if (input_.diversions.empty()) return {};
    std::string text;
    for (const Diversion& diversion : input_.diversions)
      text += fmt::format("{}\n{}\n{}\n", diversion.path, diversion.moved_to, diversion.package);
    return file("var/lib/dpkg/diversions", text);
  }

  Result<store::Tree> finish() {
    std::vector<store::Entry> entries;
    for (auto& [path, entry] : entries_) entries.push_back(std::move(entry));
    const store::Tree tree = TRY(store::Tree::make(std::move(entries)), "fixups");
    // Parents that came by themselves are as the packages have them.
    std::vector<store::Entry> out = tree.entries();
    for (store::Entry& entry : out) {
      if (entry.kind != store::Kind::folder || meant_.contains(entry.path)) continue;
      const store::Entry* known = root_.tree().find(entry.path);
      if (known != nullptr && known->kind == store::Kind::folder) entry = *known;
    }
    return store::Tree::make(std::move(out));
  }

  const FixupInput& input_;
  const RootView& root_;
  store::ObjectSink& sink_;
  Accounts accounts_;
  std::map<std::string, store::Entry> entries_;
  std::set<std::string> meant_;
};

}  // namespace

Result<store::Tree> make_fixups(const FixupInput& input, const RootView& root,
                                store::ObjectSink& sink) {
  return Fixups(input, root, sink).make();
}

}  // namespace kist::debian
