#include "debian/scripts.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "debian/control.h"
#include "debian/path_filter.h"
#include "debian/shell_trace.h"
#include "os/files.h"

namespace kist::debian {
namespace {

using Words = std::vector<std::optional<std::string>>;
using NameSet = std::set<std::string_view, std::less<>>;

// Commands that leave nothing in an image, or nothing that is wanted there.
const NameSet& harmless() {
  static const NameSet kNames = {
      // They print; what they print goes somewhere only through a redirection, which counts alone.
      "cat", "grep", "egrep", "fgrep", "awk", "tr", "cut", "head", "tail", "sort", "uniq", "expr",
      "date", "readlink", "realpath", "stat", "ls", "md5sum", "cmp", "diff", "id", "getent", "uname",
      "dirname", "basename", "mktemp", "sleep", "seq", "wc", "logger", "tput", "locale", "pwd", "mountpoint",
      "dpkg-query", "dpkg-architecture", "dpkg-vendor", "pidof", "pgrep", "kill", "pkill", "ischroot",
      // A running system's business: there is none while an image is made.
      "systemctl", "deb-systemd-helper", "deb-systemd-invoke", "invoke-rc.d", "update-rc.d", "service",
      "systemd-tmpfiles", "systemd-machine-id-setup", "systemd-hwdb", "journalctl", "udevadm",
      "initctl", "start-stop-daemon", "update-initramfs", "modprobe", "sysctl", "nscd", "restorecon",
      "dbus-send", "apparmor_parser", "aa-status", "apparmor_status", "debconf-communicate", "pam-auth-update",
      "update-grub", "update-binfmts", "setcap", "systemd-sysusers", "runlevel", "killall", "chronyc",
      // kist does them: byte-code, the linker's cache, the database of packages.
      "py3compile", "py3clean", "pycompile", "pyclean", "py3versions", "ldconfig", "dpkg-trigger",
      "dpkg-maintscript-helper", "update-shells", "add-shell", "remove-shell",
      // Menus, documents and caches of desktops.
      "update-menus", "install-info", "update-desktop-database", "gtk-update-icon-cache",
      "update-icon-caches", "install-docs", "mandb", "update-mime", "emacsen-common", "scrollkeeper-update",
      "emacs-package-install", "emacs-package-remove", "update-info-dir", "install-sgmlcatalog"};
  return kNames;
}

// Packages whose scripts kist replaces as a whole in configure.cpp, or that only prepare a running
// system. Their alternatives, accounts and simple edits still count.
bool is_replaced(std::string_view package) {
  static const NameSet kNames = {
      "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils",
      "debconf", "dpkg", "libc-bin", "libc6", "libpam-modules", "libpam-runtime", "libpam0g", "login",
      "mount", "netbase", "openssl", "passwd", "perl-base", "python3", "python3-minimal", "readline-common",
      "tzdata", "util-linux", "init-system-helpers", "man-db", "systemd", "udev", "dbus",
      "dbus-daemon", "dbus-system-bus-common", "libpam-systemd", "hicolor-icon-theme", "dictionaries-common",
      "openssh-client", "cpp", "install-info", "libgssapi-krb5-2", "ucf", "sgml-base", "apt"};
  if (kNames.contains(package)) return true;
  // python3.11, python3.11-minimal, libpython3.11-minimal …: byte-code, which has its own step.
  std::string_view rest = package;
  if (rest.starts_with("lib")) rest.remove_prefix(3);
  if (!rest.starts_with("python3.")) return false;
  rest.remove_prefix(8);
  while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') rest.remove_prefix(1);
  return rest.empty() || rest == "-minimal" || rest == "-stdlib" || rest == "-dev";
}

std::optional<uint32_t> octal(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  return value <= 07777 ? std::optional(value) : std::nullopt;
}

// Options and operands of a command whose words are all known.
struct Call {
  std::vector<std::string> options;
  std::vector<std::string> operands;
  std::map<char, std::string> values;  // Of -m MODE and the like.
};

std::optional<Call> read_call(const Words& words, std::string_view with_value) {
  Call call;
  for (size_t i = 1; i < words.size(); ++i) {
    if (!words[i]) return std::nullopt;
    const std::string& word = *words[i];
    if (word.size() < 2 || word[0] != '-') {
      call.operands.push_back(word);
    } else if (word.size() == 2 && with_value.find(word[1]) != std::string_view::npos) {
      if (i + 1 == words.size() || !words[i + 1]) return std::nullopt;
      call.values[word[1]] = *words[++i];
    } else if (with_value.find(word[1]) != std::string_view::npos && word[1] != '-') {
      call.values[word[1]] = word.substr(2);
    } else if (word != "--") {
      call.options.push_back(word);
    }
  }
  return call;
}

bool is_pattern(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

class Planner {
 public:
  Planner(const RootView& root, ScriptPlan& plan) : root_(root), plan_(plan) {}

  /// False when only a container can do it.
  bool take(const ShellEffect& effect) {
    if (!effect.writes.empty() || effect.words.empty() || !effect.words[0]) return false;
    const std::string name(os::name_of(*effect.words[0]));
    const Words& words = effect.words;
    if (harmless().contains(name)) return true;
    if (name == "update-alternatives") return alternative(words);
    if (name == "adduser" || name == "addgroup" || name == "useradd" || name == "groupadd" ||
        name == "usermod")
      return account(words);
    if (name == "mkdir") return make_folders(words);
    if (name == "install") return install(words);
    if (name == "ln") return link(words);
    if (name == "rm" || name == "rmdir") return remove(words);
    if (name == "touch") return touch(words);
    if (name == "chmod") return change_mode(words);
    if (name == "chown" || name == "chgrp") return change_owner(words, name == "chgrp");
    if (name == "dpkg-statoverride") return overrides(words);
    if (name == "dpkg-divert") return words.size() > 1 && words[1] != std::optional<std::string>("--add");
    if (name == "sed" || name == "find" || name == "xargs") return only_reads(words);
    // Caches of what is not there.
    if (name == "glib-compile-schemas") return lacks(words, ".xml");
    if (name == "gio-querymodules") return lacks(words, ".so");
    if (name == "dpkg") return true;  // What is left of it are queries.
    return name.starts_with("python3") && compiles(words);
  }

 private:
  void edit(FileEdit::What what, const std::string& path, std::string other = "",
            std::optional<uint32_t> mode = std::nullopt) {
    plan_.edits.push_back({what, path, std::move(other), mode, "", ""});
  }
  static bool absolute(const std::vector<std::string>& paths) {
    return !paths.empty() && std::all_of(paths.begin(), paths.end(), [](const std::string& path) {
      return path.starts_with('/') && path.find("/../") == std::string::npos && !is_pattern(path);
    });
  }
  // Made by an earlier line of a script, or brought by a package.
  bool present(const std::string& path) const {
    return root_.find_link(path) != nullptr ||
           std::any_of(plan_.edits.begin(), plan_.edits.end(),
                       [&](const FileEdit& edit) { return edit.path == path; });
  }

  // Whether the folder that is the last word has no file with this ending.
  bool lacks(const Words& words, std::string_view ending) const {
    if (!words.back() || !absolute({*words.back()})) return false;
    const std::vector<std::string> paths = root_.children(*words.back());
    return std::none_of(paths.begin(), paths.end(),
                        [&](const std::string& path) { return path.ends_with(ending); });
  }

  // A pattern in the last part of the path only.
  bool matches_nothing(const std::string& pattern) const {
    const std::string folder = os::parent_of(pattern);
    if (!absolute({folder})) return false;
    const std::vector<std::string> paths = root_.children(folder);
    return std::none_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return matches_pattern(os::name_of(path), os::name_of(pattern));
    });
  }

  bool alternative(const Words& words) {
    auto parsed = parse_alternative(words);
    if (!parsed) return false;
    if (*parsed) plan_.alternatives.push_back(std::move(**parsed));
    return true;
  }

  bool account(const Words& words) {
    std::vector<std::string> known;
    for (const auto& word : words) {
      if (!word) return false;
      known.push_back(*word);
    }
    plan_.account_commands.push_back(std::move(known));
    return true;
  }

  bool make_folders(const Words& words) {
    const auto call = read_call(words, "m");
    if (!call || !absolute(call->operands)) return false;
    const auto text = call->values.find('m');
    const auto mode = text == call->values.end() ? std::optional(0755u) : octal(text->second);
    if (!mode) return false;
    for (const std::string& path : call->operands)
      edit(FileEdit::What::folder, path, "", *mode);
    return true;
  }

  bool install(const Words& words) {
    auto call = read_call(words, "mog");
    if (!call || !absolute(call->operands)) return false;
    const bool folders = std::find(call->options.begin(), call->options.end(), "-d") !=
                         call->options.end();
    if (!folders) return false;
    const auto mode = octal(call->values.contains('m') ? call->values['m'] : "0755");
    if (!mode) return false;
    for (const std::string& path : call->operands) {
      edit(FileEdit::What::folder, path, "", *mode);
      plan_.edits.back().user = call->values['o'];
      plan_.edits.back().group = call->values['g'];
    }
    return true;
  }

  bool link(const Words& words) {
    const auto call = read_call(words, "");
    if (!call || call->operands.size() != 2) return false;
    bool symbolic = false;
    bool replaces = false;
    for (const std::string& option : call->options) {
      symbolic = symbolic || option.find('s') != std::string::npos;
      replaces = replaces || option.find('f') != std::string::npos;
    }
    const std::string& path = call->operands[1];
    if (!symbolic || !absolute({path}) || path.ends_with('/')) return false;
    const store::Entry* old = root_.find_link(path);
    if (old != nullptr && old->kind == store::Kind::folder) return false;  // Goes into the folder.
    if (old != nullptr && !replaces) return true;                          // ln would fail.
    edit(FileEdit::What::symlink, path, call->operands[0]);
    return true;
  }

  // Nothing to remove on a fresh system, unless the package itself brings it.
  bool remove(const Words& words) const {
    const auto call = read_call(words, "");
    return call && std::all_of(call->operands.begin(), call->operands.end(),
                               [&](const std::string& path) {
                                 return is_pattern(path) ? matches_nothing(path)
                                                         : absolute({path}) && !present(path);
                               });
  }

  bool touch(const Words& words) {
    const auto call = read_call(words, "rdt");
    if (!call || !absolute(call->operands)) return false;
    for (const std::string& path : call->operands)
      if (!present(path)) edit(FileEdit::What::empty_file, path, "", 0644);
    return true;
  }

  bool change_mode(const Words& words) {
    const auto call = read_call(words, "");
    if (!call || call->operands.size() < 2 || !call->options.empty()) return false;
    const auto mode = octal(call->operands[0]);
    const std::vector<std::string> paths(call->operands.begin() + 1, call->operands.end());
    if (!mode || !absolute(paths)) return false;
    for (const std::string& path : paths) edit(FileEdit::What::mode, path, "", *mode);
    return true;
  }

  bool change_owner(const Words& words, bool group_only) {
    const auto call = read_call(words, "");
    if (!call || call->operands.size() < 2) return false;
    for (const std::string& option : call->options)
      if (option != "-h" && option != "--no-dereference" && option != "-f") return false;
    const std::vector<std::string> paths(call->operands.begin() + 1, call->operands.end());
    if (!absolute(paths)) return false;
    const std::string& who = call->operands[0];
    const size_t colon = std::min(who.find_first_of(":."), who.size());
    for (const std::string& path : paths) {
      edit(FileEdit::What::owner, path);
      plan_.edits.back().user = group_only ? "" : who.substr(0, colon);
      plan_.edits.back().group =
          group_only ? who : who.substr(std::min(colon + 1, who.size()));
    }
    return true;
  }

  // --add [--update] USER GROUP MODE PATH; --list only asks.
  bool overrides(const Words& words) {
    const auto call = read_call(words, "");
    if (!call) return false;
    const auto has = [&](const char* option) {
      return std::find(call->options.begin(), call->options.end(), option) != call->options.end();
    };
    if (has("--list")) return true;
    if (!has("--add") || call->operands.size() != 4) return false;
    const auto mode = octal(call->operands[2]);
    if (!mode || !absolute({call->operands[3]})) return false;
    if (!has("--update")) return true;
    plan_.edits.push_back({FileEdit::What::owner, call->operands[3], "", std::nullopt,
                           call->operands[0], call->operands[1]});
    plan_.edits.push_back({FileEdit::What::mode, call->operands[3], "", *mode, "", ""});
    return true;
  }

  static bool only_reads(const Words& words) {
    const std::string name(os::name_of(*words[0]));
    for (const auto& word : words) {
      if (!word) return false;
      if (name == "sed" && word->starts_with("-i")) return false;
      if (name == "find" && (word->starts_with("-exec") || *word == "-delete")) return false;
      if (name == "xargs" && word != words[0]) return false;
    }
    return true;
  }

  static bool compiles(const Words& words) {
    return std::any_of(words.begin(), words.end(), [](const auto& word) {
      return word && (word->ends_with("py_compile.py") || word->ends_with("py_compile") ||
                      word->ends_with("compileall.py") || word->ends_with("compileall"));
    });
  }

  const RootView& root_;
  ScriptPlan& plan_;
};

std::string describe(const ShellEffect& effect) {
  std::string out;
  for (const auto& word : effect.words) {
    if (!out.empty()) out += ' ';
    out += word ? shell_quote(*word) : "…";
  }
  for (const auto& path : effect.writes) {
    out += " > ";
    out += path ? shell_quote(*path) : "…";
  }
  return printable(out, 120);
}

bool is_shell(std::string_view script) {
  const std::string_view first = script.substr(0, script.find('\n'));
  return first.starts_with("#!") && (first.find("/sh") != std::string_view::npos ||
                                     first.find("/bash") != std::string_view::npos ||
                                     first.find("/dash") != std::string_view::npos);
}

}  // namespace

std::map<std::string, std::string> debconf_defaults(std::string_view templates) {
  std::map<std::string, std::string> out;
  const auto parsed = parse_paragraphs(templates);
  if (!parsed) return out;
  for (const Paragraph& question : *parsed) {
    const std::string_view name = question.get("Template");
    if (!name.empty()) out[std::string(name)] = question.get("Default");
  }
  return out;
}

ScriptPlan plan_scripts(const ScriptSubject& subject, const RootView& root) {
  ScriptPlan plan;
  const std::string_view script = subject.meta->file("postinst");
  if (script.empty()) return plan;
  const bool replaced = is_replaced(subject.package);
  if (!is_shell(script)) {
    if (!replaced) plan.remaining.push_back("postinst is not a shell script");
    return plan;
  }
  ShellWorld world;
  world.arguments = {"configure", ""};
  world.variables = {{"DPKG_MAINTSCRIPT_PACKAGE", subject.package},
                     {"DPKG_MAINTSCRIPT_ARCH", subject.architecture},
                     {"DPKG_MAINTSCRIPT_NAME", "postinst"},
                     {"DEBIAN_FRONTEND", "noninteractive"}};
  world.defaults = debconf_defaults(subject.meta->file("templates"));
  world.exists = [&](const std::string& path) { return root.exists(path); };
  world.is_folder = [&](const std::string& path) {
    const store::Entry* entry = root.find(path);
    return entry != nullptr && entry->kind == store::Kind::folder;
  };
  const auto effects = trace_shell(script, world);
  if (!effects) {
    if (!replaced) plan.remaining.push_back(effects.error().message());
    return plan;
  }
  Planner planner(root, plan);
  for (const ShellEffect& effect : *effects)
    if (!planner.take(effect) && !replaced) plan.remaining.push_back(describe(effect));
  // The script runs, and makes what it wants. Made before, some would lead it astray: `locales`
  // takes a link that one of its branches makes for the wish to have all locales.
  if (!plan.remaining.empty())
    std::erase_if(plan.edits, [](const FileEdit& edit) {
      return edit.what == FileEdit::What::symlink || edit.what == FileEdit::What::empty_file ||
             edit.what == FileEdit::What::copy;
    });
  return plan;
}

}  // namespace kist::debian
