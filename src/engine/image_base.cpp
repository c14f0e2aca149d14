#include "engine/image_base.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/text.h"
#include "debian/base_set.h"
#include "debian/control.h"
#include "environment/suite.h"
#include "os/files.h"

namespace kist::engine {
namespace {

using store::Entry;
using store::Tree;

constexpr std::string_view kStatus = "var/lib/dpkg/status";
constexpr std::string_view kInfo = "var/lib/dpkg/info/";

// Only there to install or configure packages.
constexpr std::string_view kManagers[] = {"dpkg", "apt", "apt-utils", "aptitude", "debconf", "gpgv", "sqv",
                                          "debian-archive-keyring"};
// What a person or a script calls, and a program of its own does not need.
constexpr std::string_view kShells[] = {"bash", "dash", "coreutils", "sed",   "grep",        "mawk", "gawk",
                                        "tar",  "gzip", "findutils", "diffutils", "debianutils", "hostname", "openssl"};

// In the base for whoever develops; kept where something that the project asks for needs it.
constexpr std::string_view kTools[] = {"openssl", "diffutils"};

// The character sets that glibc itself counts as the usual ones (gconv-modules); the others are some
// 8 MB of tables, which a program of Python, having its own, never reads.
constexpr std::string_view kUsualCharsets[] = {"gconv-modules", "gconv-modules.cache", "UTF-7.so", "UTF-16.so",
                                               "UTF-32.so",     "UNICODE.so",          "ISO8859-1.so",
                                               "ISO8859-15.so", "CP1252.so",           "ANSI_X3.110.so"};

// Of Python's own library: its tests, what only help() reads, what installs pip.
constexpr std::string_view kLibraryLeftOut[] = {"test/",     "idlelib/",   "turtledemo/",        "pydoc_data/",
                                                "ensurepip/", "lib2to3/tests/", "lib-dynload/_test", "lib-dynload/_ctypes_test"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "test/x.py" of "usr/lib/python3.13/test/x.py"; "" for what is no part of Python's library.
std::string_view below_library(std::string_view path) {
  for (const std::string_view start : {"usr/lib/python3.", "opt/python/lib/python3."}) {
    if (!path.starts_with(start)) continue;
    const size_t slash = path.find('/', start.size());
    return slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return "";
}

bool is_rare_charset(std::string_view path) {
  constexpr std::string_view kFolder = "/gconv/";
  const size_t at = path.find(kFolder);
  return path.starts_with("usr/lib/") && at != std::string_view::npos &&
         !is_one_of(path.substr(at + kFolder.size()), kUsualCharsets);
}

struct Package {
  std::string name;
  std::string file_stem;  // In info/: "libc6:amd64".
  std::vector<std::vector<debian::Relation>> needs;
  std::vector<std::string> provides;
  bool is_kept = false;
  bool is_base = false;  // The base set and all that it needs.
};

class Splitter {
 public:
  Splitter(const Tree& tree, const python::KistSection& lock, ImageForm form, const ReadObject& read,
           store::ObjectSink& sink)
      : tree_(tree), lock_(lock), form_(form), read_(read), sink_(sink) {}

  Result<DebianParts> run() {
    TRY(read_packages());
    TRY(mark());
    TRY(read_owners());
    choose_entries();
    TRY(rewrite_status());
    return divide();
  }

 private:
  Result<std::string> text_of(std::string_view path) const {
    const Entry* const entry = tree_.find(path);
    if (entry == nullptr || entry->kind != store::Kind::file)
      return Error(Code::corrupt, "the base has no {}", printable(path));
    return read_(*entry);
  }

  Result<void> read_packages() {
    const std::string status = TRY(text_of(kStatus));
    paragraphs_ = TRY(debian::parse_paragraphs(status), "{}", kStatus);
    for (const debian::Paragraph& paragraph : paragraphs_) {
      Package package;
      package.name = paragraph.get("Package");
      package.file_stem = package.name;
      const std::string with_arch = fmt::format("{}:{}", package.name, paragraph.get("Architecture"));
      if (tree_.find(fmt::format("{}{}.list", kInfo, with_arch)) != nullptr) package.file_stem = with_arch;
      for (const char* field : {"Pre-Depends", "Depends"})
        for (auto& relation : debian::parse_relations(paragraph.get(field)))
          package.needs.push_back(std::move(relation));
      for (const auto& relation : debian::parse_relations(paragraph.get("Provides")))
        for (const debian::Relation& provided : relation) package.provides.push_back(provided.name);
      packages_.push_back(std::move(package));
    }
    for (size_t i = 0; i < packages_.size(); ++i) indexes_.emplace(packages_[i].name, i);
    for (size_t i = 0; i < packages_.size(); ++i)
      for (const std::string& name : packages_[i].provides) indexes_.emplace(name, i);
    return {};
  }

  bool is_dropped_by_name(const std::string& name) const {
    if (form_ == ImageForm::development || asked_.contains(name)) return false;
    if (is_one_of(name, kTools)) return !needed_.contains(name);
    return is_one_of(name, kManagers) || (form_ == ImageForm::minimal && is_one_of(name, kShells));
  }

  // All that `names` need, without what is left out by its name.
  std::set<size_t> closure(const std::vector<std::string>& names) const {
    std::set<size_t> found;
    std::vector<size_t> open;
    const auto take = [&](const std::string& name) {
      const auto index = indexes_.find(name);
      if (index == indexes_.end()) return false;
      if (!is_dropped_by_name(packages_[index->second].name) && found.insert(index->second).second)
        open.push_back(index->second);
      return true;
    };
    for (const std::string& name : names) (void)take(name);
    while (!open.empty()) {
      const size_t index = open.back();
      open.pop_back();
      for (const auto& alternatives : packages_[index].needs)
        (void)std::any_of(alternatives.begin(), alternatives.end(),
                          [&](const debian::Relation& relation) { return take(relation.name); });
    }
    return found;
  }

  Result<void> mark() {
    const environment::Suite suite = TRY(environment::suite_of_base(lock_.base));
    const debian::BaseSet set = TRY(debian::base_packages(suite.name));
    std::vector<std::string> base = set.packages;
    if (!lock_.interpreter) base.insert(base.end(), set.interpreter.begin(), set.interpreter.end());
    std::vector<std::string> all = base;
    for (const std::string& name : lock_.system) {
      asked_.insert(name.substr(0, name.find_first_of("=:")));
      all.push_back(name.substr(0, name.find_first_of("=:")));
    }
    needed_.insert(std::begin(kTools), std::end(kTools));
    const std::set<size_t> of_asked = closure({asked_.begin(), asked_.end()});
    needed_.clear();
    for (const size_t index : of_asked) needed_.insert(packages_[index].name);
    // What was locked beside these (libraries of an own interpreter) is wanted too, unless only what
    // is left out needs it.
    const std::set<size_t> of_base = closure(base);
    // Tools are not always in it, and it is to be the same always.
    for (const size_t index : of_base)
      packages_[index].is_base = form_ == ImageForm::development || !is_one_of(packages_[index].name, kTools);
    std::set<size_t> of_all;
    if (form_ == ImageForm::development) {
      for (size_t i = 0; i < packages_.size(); ++i) of_all.insert(i);
    } else {
      if (lock_.interpreter)
        for (const Package& package : packages_)
          if (package.name.starts_with("lib")) all.push_back(package.name);
      of_all = closure(all);
    }
    for (const size_t index : of_all) packages_[index].is_kept = true;
    return {};
  }

  // Lists are of before /bin became a link to /usr/bin.
  std::string merged(std::string_view path) const {
    for (const std::string_view top : {"bin/", "sbin/", "lib/", "lib64/"})
      if (path.starts_with(top)) return "usr/" + std::string(path);
    return std::string(path);
  }

  Result<void> read_owners() {
    for (size_t i = 0; i < packages_.size(); ++i) {
      const std::string path = fmt::format("{}{}.list", kInfo, packages_[i].file_stem);
      if (tree_.find(path) == nullptr) continue;
      const std::string text = TRY(text_of(path));
      for (std::string_view line : lines(text)) {
        while (line.starts_with('/')) line.remove_prefix(1);
        if (!line.empty() && line != ".") owners_[merged(line)].push_back(i);
      }
    }
    return {};
  }

  bool is_database_of_dropped(std::string_view path) const {
    if (form_ == ImageForm::development || !path.starts_with("var/lib/dpkg")) return false;
    if (!path.starts_with(kInfo)) return path != kStatus && path != "var/lib/dpkg" && path != "var/lib/dpkg/info";
    const std::string_view name = path.substr(kInfo.size());
    if (!name.ends_with(".list") && !name.ends_with(".md5sums") && !name.ends_with(".conffiles")) return true;
    const std::string_view stem = name.substr(0, name.rfind('.'));
    return std::any_of(packages_.begin(), packages_.end(), [&](const Package& package) {
      return !package.is_kept && package.file_stem == stem;
    });
  }

  bool is_wanted(const Entry& entry) const {
    if (is_database_of_dropped(entry.path) || is_left_out(entry.path, form_)) return false;
    if (form_ != ImageForm::development && asked_.empty() && is_rare_charset(entry.path)) return false;
    const auto owners = owners_.find(entry.path);
    if (owners == owners_.end()) return true;
    return std::any_of(owners->second.begin(), owners->second.end(),
                       [&](size_t i) { return packages_[i].is_kept; });
  }

  // Where a link leads, in one step and by its text alone; "" when outside.
  static std::string target_of(const Entry& link) {
    const std::string path =
        link.target.starts_with('/') ? link.target : "/" + os::join(os::parent_of(link.path), link.target);
    std::vector<std::string_view> parts;
    for (const std::string_view part : split(path, '/')) {
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (!parts.empty()) parts.pop_back();
        continue;
      }
      parts.push_back(part);
    }
    return fmt::format("{}", fmt::join(parts, "/"));
  }

  void choose_entries() {
    for (const Entry& entry : tree_.entries())
      if (is_wanted(entry)) kept_.insert(entry.path);
    // Links that lead to nothing any more, and links to these.
    for (bool again = true; again;) {
      again = false;
      for (const Entry& entry : tree_.entries()) {
        if (entry.kind != store::Kind::symlink || !kept_.contains(entry.path)) continue;
        const std::string target = merged(target_of(entry));
        if (tree_.find(target) == nullptr || kept_.contains(target)) continue;
        kept_.erase(entry.path);
        again = true;
      }
    }
    drop_emptied_folders();
    for (const Entry& entry : tree_.entries()) {
      if (!kept_.contains(entry.path)) continue;
      for (std::string path = os::parent_of(entry.path); path != "."; path = os::parent_of(path))
        if (!kept_.insert(path).second) break;
    }
  }

  // Folders that nobody owns and in which nothing is left of what was there.
  void drop_emptied_folders() {
    std::set<std::string> had, has;
    const auto& entries = tree_.entries();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      const bool is_emptied = entry->kind == store::Kind::folder && !owners_.contains(entry->path) &&
                              had.contains(entry->path) && !has.contains(entry->path);
      if (is_emptied) kept_.erase(entry->path);
      const std::string parent = os::parent_of(entry->path);
      had.insert(parent);
      if (kept_.contains(entry->path)) has.insert(parent);
    }
  }

  Result<void> rewrite_status() {
    if (form_ == ImageForm::development) return {};
    std::string text;
    for (size_t i = 0; i < packages_.size(); ++i)
      if (packages_[i].is_kept) text += paragraphs_[i].text() + "\n\n";
    const store::Object object = TRY(sink_.put(text, 0644));
    status_ = *tree_.find(kStatus);
    status_->object = object.digest;
    status_->size_bytes = object.size_bytes;
    return {};
  }

  bool is_python(const std::string& name) const {
    return !lock_.interpreter && (name.starts_with("python3") || name.starts_with("libpython3"));
  }

  std::vector<Entry>& part_of(const Entry& entry) {
    const auto owners = owners_.find(entry.path);
    if (owners == owners_.end()) return debian_;
    if (form_ != ImageForm::development && is_rare_charset(entry.path)) return debian_;
    for (const size_t i : owners->second)
      if (packages_[i].is_base && !is_python(packages_[i].name)) return base_;
    for (const size_t i : owners->second)
      if (packages_[i].is_base) return interpreter_;
    return debian_;
  }

  // Each part gets the folders that lead to what it has, with their modes.
  Result<Tree> with_folders(std::vector<Entry> entries) const {
    std::set<std::string> have;
    for (const Entry& entry : entries) have.insert(entry.path);
    for (size_t i = 0, count = entries.size(); i < count; ++i)
      for (std::string path = os::parent_of(entries[i].path); path != "."; path = os::parent_of(path)) {
        if (!have.insert(path).second) break;
        entries.push_back(*tree_.find(path));
      }
    return Tree::make(std::move(entries));
  }

  Result<DebianParts> divide() {
    for (const Entry& entry : tree_.entries()) {
      if (!kept_.contains(entry.path)) continue;
      part_of(entry).push_back(entry.path == kStatus && status_ ? *status_ : entry);
    }
    DebianParts parts;
    parts.base = TRY(with_folders(std::move(base_)));
    parts.interpreter = TRY(with_folders(std::move(interpreter_)));
    parts.debian = TRY(with_folders(std::move(debian_)));
    return parts;
  }

  const Tree& tree_;
  const python::KistSection& lock_;
  const ImageForm form_;
  const ReadObject& read_;
  store::ObjectSink& sink_;
  std::vector<debian::Paragraph> paragraphs_;
  std::vector<Package> packages_;
  std::map<std::string, size_t, std::less<>> indexes_;
  std::set<std::string, std::less<>> asked_;
  std::set<std::string, std::less<>> needed_;  // By what is asked for.
  std::map<std::string, std::vector<size_t>, std::less<>> owners_;
  std::set<std::string, std::less<>> kept_;
  std::optional<Entry> status_;
  std::vector<Entry> base_, interpreter_, debian_;
};

}  // namespace

bool is_left_out(std::string_view path, ImageForm form) {
  if (form == ImageForm::development) return false;
  const std::string_view below = below_library(path);
  return std::any_of(std::begin(kLibraryLeftOut), std::end(kLibraryLeftOut),
                     [&](std::string_view start) { return below.starts_with(start); });
}

Result<DebianParts> split_debian(const Tree& tree, const python::KistSection& lock, ImageForm form,
                                 const ReadObject& read, store::ObjectSink& sink) {
  return Splitter(tree, lock, form, read, sink).run();
}

}  // namespace kist::engine
