// The order of things, and the rules of the "Binary distribution format", "Recording installed
// projects", "Entry points" and "Direct URL" specifications that are kept where:
//   inspect    names and versions agree, format 1, one .dist-info          wheel.cpp
//   lay out    purelib, platlib, scripts, headers, data; modes; links      install_layout.cpp
//   unpack     every entry once, on all cores, straight into the sink      here
//   scripts    "#!python" lines, entry points, pip's own versions          here, entry_points.cpp
//   record     RECORD of what was really written; INSTALLER, direct_url    here, record.cpp
// Determinism: nothing of the host, the clock or the order of work reaches the tree.
#include "python/install.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/text.h"
#include "python/entry_points.h"
#include "python/install_layout.h"
#include "python/pylock.h"
#include "python/record.h"

namespace kist::python {
namespace {

// Raise it when a change of the rules makes other trees of the same wheels.
constexpr std::string_view kRecipe = "kist-wheel-1";
constexpr uint64_t kMaxRecordBytes = 64u << 20;
// An entry above this is begun early, so that no core is left with a long one at the end.
constexpr uint64_t kLargeBytes = 1u << 20;

// Scratches that no thread uses at the moment; so there are never more than threads at work.
class ScratchPool {
 public:
  std::unique_ptr<archive::ZipScratch> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<archive::ZipScratch>();
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void give(std::unique_ptr<archive::ZipScratch> scratch) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(scratch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<archive::ZipScratch>> free_;
};

// The script with the environment's interpreter for the wheel's placeholder, or empty when the
// first line is not one.
std::optional<std::string> with_interpreter(std::string_view script, std::string_view shebang) {
  if (!script.starts_with("#!python")) return std::nullopt;
  const size_t newline = script.find('\n');
  const std::string_view rest =
      newline == std::string_view::npos ? std::string_view() : script.substr(newline + 1);
  return fmt::format("{}{}", shebang, rest);
}

// Pip's wheel has the entry point "pip3.N" of the Python that built it; pip installs itself with
// that of the Python it runs on.
void fix_pip(std::vector<Script>& scripts, const std::string& python_minor) {
  const auto pip = std::find_if(scripts.begin(), scripts.end(),
                                [](const Script& script) { return script.name == "pip"; });
  if (pip == scripts.end()) return;
  const Script original = *pip;
  const auto is_pip = [](const Script& script) {
    return script.name.starts_with("pip") &&
           script.name.find_first_not_of("0123456789.", 3) == std::string::npos;
  };
  std::erase_if(scripts, is_pip);
  const std::string major = python_minor.substr(0, python_minor.find('.'));
  for (const std::string& ending : {std::string(), major, python_minor}) {
    scripts.push_back(original);
    scripts.back().name = "pip" + ending;
  }
  std::sort(scripts.begin(), scripts.end(),
            [](const Script& a, const Script& b) { return a.name < b.name; });
}

class Installer {
 public:
  Installer(const InstallTarget& target, store::ObjectSink& sink, os::Workers& workers)
      : target_(target), sink_(sink), workers_(workers), shebang_(shebang(target.prefix)) {}

  Result<InstalledWheel> install(const std::string& path, const WheelIdentity& identity) {
    const archive::ZipFile zip = TRY(archive::ZipFile::open(path, kWheelLimits));
    archive::ZipScratch scratch;
    out_.info = TRY(inspect_wheel(zip, identity, scratch));
    const std::vector<Script> scripts = TRY(read_scripts(zip, scratch));
    Layout layout = TRY(lay_out(zip, out_.info, target_, scripts));
    layout_ = std::move(layout);
    TRY(unpack(zip));
    TRY(write_scripts(scripts));
    TRY(write_dist_info());
    check_record(zip, scratch);
    TRY(write_own_record());
    out_.tree = TRY(store::Tree::make(std::move(entries_)));
    collect_warnings();
    return std::move(out_);
  }

 private:
  Result<std::vector<Script>> read_scripts(const archive::ZipFile& zip,
                                           archive::ZipScratch& scratch) const {
    const archive::ZipEntry* entry = zip.find(out_.info.dist_info + "/entry_points.txt");
    if (entry == nullptr) return std::vector<Script>();
    const std::string_view text = TRY(zip.read(*entry, scratch));
    std::vector<Script> scripts = TRY(parse_entry_points(text));
    if (normalize_name(out_.info.name) == "pip") fix_pip(scripts, target_.python_minor);
    return scripts;
  }

  // Everything that costs: inflating, hashing and writing, one entry per work item.
  Result<void> unpack(const archive::ZipFile& zip) {
    entries_.resize(layout_.files.size());
    rewritten_.resize(layout_.files.size());
    std::vector<uint32_t> order(layout_.files.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    // Large ones first, the largest before all; the rest as it lies in the file.
    const auto weight = [&](uint32_t i) {
      const uint64_t size = layout_.files[i].source->size_bytes;
      return size >= kLargeBytes ? size : 0;
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return weight(a) > weight(b); });
    return workers_.for_each(order.size(), [&](size_t i) -> Result<void> {
      auto scratch = pool_.take();
      Result<void> done = unpack_one(zip, order[i], *scratch);
      pool_.give(std::move(scratch));
      return done;
    });
  }

  Result<void> unpack_one(const archive::ZipFile& zip, size_t index, archive::ZipScratch& scratch) {
    const Placed& file = layout_.files[index];
    store::Entry& entry = entries_[index];
    entry.path = from_root(file.path);
    entry.mode = file.mode;
    if (file.source->size_bytes > archive::ZipFile::kWholeBytes ||
        file.source->packed_bytes > archive::ZipFile::kWholeBytes)
      return stream_one(zip, index, scratch);
    std::string_view bytes = TRY(zip.read(*file.source, scratch));
    std::optional<std::string> script;
    if (file.is_script) script = with_interpreter(bytes, shebang_);
    if (script) {
      rewritten_[index] = true;
      bytes = *script;
    }
    const store::Object object = TRY(sink_.put(bytes, entry.mode));
    entry.object = object.digest;
    entry.size_bytes = object.size_bytes;
    return {};
  }

  Result<void> stream_one(const archive::ZipFile& zip, size_t index, archive::ZipScratch& scratch) {
    const Placed& file = layout_.files[index];
    store::Entry& entry = entries_[index];
    const std::unique_ptr<store::ObjectWriter> writer = TRY(sink_.begin(entry.mode));
    bool is_first = file.is_script;
    TRY(zip.read_chunks(*file.source, scratch, [&](std::string_view chunk) -> Result<void> {
      std::optional<std::string> replaced;
      // A first line that does not end in the first chunk, half a megabyte, is no shebang.
      if (is_first && chunk.find('\n') != std::string_view::npos)
        replaced = with_interpreter(chunk, shebang_);
      is_first = false;
      if (replaced) rewritten_[index] = true;
      return writer->write(replaced ? std::string_view(*replaced) : chunk);
    }));
    const store::Object object = TRY(writer->finish());
    entry.object = object.digest;
    entry.size_bytes = object.size_bytes;
    return {};
  }

  Result<void> write_file(std::string path, uint32_t mode, std::string_view bytes) {
    const store::Object object = TRY(sink_.put(bytes, mode));
    store::Entry entry;
    entry.path = from_root(path);
    entry.mode = mode;
    entry.object = object.digest;
    entry.size_bytes = object.size_bytes;
    entries_.push_back(std::move(entry));
    return {};
  }

  Result<void> write_scripts(const std::vector<Script>& scripts) {
    for (const Script& script : scripts)
      TRY(write_file("bin/" + script.name, 0755, script_text(script, shebang_)));
    return {};
  }

  Result<void> write_dist_info() {
    const std::string folder = fmt::format("{}/{}", target_.site_packages(), out_.info.dist_info);
    TRY(write_file(folder + "/INSTALLER", 0644, target_.installer + "\n"));
    if (target_.direct_url_json)
      TRY(write_file(folder + "/direct_url.json", 0644, *target_.direct_url_json));
    return {};
  }

  // The wheel as a whole was checked against the lock, which is stronger than any RECORD, and real
  // wheels get theirs wrong. So it is compared, told about, and written anew.
  void check_record(const archive::ZipFile& zip, archive::ZipScratch& scratch) {
    const auto rows = read_record(zip, scratch);
    if (!rows) {
      out_.warnings.push_back(fmt::format("RECORD cannot be read and was written anew: {}",
                                          rows.error().message()));
      return;
    }
    std::unordered_map<std::string_view, const RecordRow*> listed;
    for (const RecordRow& row : *rows) listed.emplace(row.path, &row);
    for (size_t i = 0; i < layout_.files.size(); ++i) {
      const std::string_view name = layout_.files[i].source->name;
      if (is_signature(name)) continue;
      const auto found = listed.find(name);
      if (found == listed.end()) {
        unlisted_.add(name);
        continue;
      }
      const RecordRow& row = *found->second;
      // Other algorithms, and scripts whose first line was replaced, are not worth a second hash.
      const bool comparable = row.hash.starts_with("sha256=") && !rewritten_[i];
      std::string_view hash = row.hash;
      while (hash.ends_with('=')) hash.remove_suffix(1);  // Some tools pad.
      if (comparable && hash != record_hash(*entries_[i].object)) wrong_.add(name);
    }
    for (const RecordRow& row : *rows)
      if (!row.path.ends_with('/') && zip_lacks(zip, row.path)) missing_.add(row.path);
  }

  Result<std::vector<RecordRow>> read_record(const archive::ZipFile& zip,
                                             archive::ZipScratch& scratch) const {
    const archive::ZipEntry* entry = zip.find(out_.info.dist_info + "/RECORD");
    KIST_ASSERT(entry != nullptr);  // inspect_wheel() has found it.
    if (entry->size_bytes > kMaxRecordBytes)
      return Error(Code::invalid, "it is larger than {}", human_bytes(kMaxRecordBytes));
    std::string text;
    TRY(zip.read_chunks(*entry, scratch, [&](std::string_view chunk) -> Result<void> {
      text += chunk;
      return {};
    }));
    return TRY(parse_record(text));
  }

  bool zip_lacks(const archive::ZipFile& zip, std::string_view name) {
    if (names_.empty())
      for (const archive::ZipEntry& entry : zip.entries()) names_.emplace(entry.name, nullptr);
    return !names_.contains(name);
  }

  bool is_signature(std::string_view name) const {
    return name == out_.info.dist_info + "/RECORD.jws" || name == out_.info.dist_info + "/RECORD.p7s";
  }

  // Of all that is in the tree now, plus itself.
  Result<void> write_own_record() {
    const std::string own =
        fmt::format("{}/{}/RECORD", target_.site_packages(), out_.info.dist_info);
    const size_t above = from_root("").size();
    std::vector<RecordRow> rows;
    rows.reserve(entries_.size() + 1);
    for (const store::Entry& entry : entries_) {
      RecordRow row{.path = record_path(std::string_view(entry.path).substr(above), target_),
                    .hash = ""};
      if (!is_signature(row.path)) {
        row.hash = record_hash(*entry.object);
        row.size_bytes = entry.size_bytes;
      }
      rows.push_back(std::move(row));
    }
    rows.push_back({.path = record_path(own, target_), .hash = ""});
    return write_file(own, 0644, write_record(std::move(rows)));
  }

  // "opt/kist/bin/x" of "bin/x".
  std::string from_root(std::string_view path) const {
    return fmt::format("{}/{}", std::string_view(target_.prefix).substr(1), path);
  }

  void collect_warnings() {
    const auto add = [&](const auto& many) {
      out_.warnings.insert(out_.warnings.end(), many.begin(), many.end());
    };
    add(out_.info.warnings);
    add(layout_.warnings);
    unlisted_.report("RECORD does not list", out_.warnings);
    wrong_.report("RECORD has the wrong hash of", out_.warnings);
    missing_.report("RECORD lists what the wheel lacks:", out_.warnings);
  }

  // The first of many names, and how many more there are.
  struct Names {
    std::string first;
    size_t count = 0;

    void add(std::string_view name) {
      if (count++ == 0) first = name;
    }
    void report(std::string_view what, std::vector<std::string>& warnings) const {
      if (count == 0) return;
      const std::string more = count == 1 ? "" : fmt::format(" and {} more", count - 1);
      warnings.push_back(
          fmt::format("{} '{}'{}; it was written anew", what, printable(first), more));
    }
  };

  const InstallTarget& target_;
  store::ObjectSink& sink_;
  os::Workers& workers_;
  const std::string shebang_;
  ScratchPool pool_;
  Layout layout_;
  std::vector<store::Entry> entries_;  // First those of layout_.files, then what we wrote.
  std::vector<uint8_t> rewritten_;     // By index in layout_.files; not bool: threads write it.
  std::unordered_map<std::string_view, const void*> names_;
  Names unlisted_;
  Names wrong_;
  Names missing_;
  InstalledWheel out_;
};

Result<void> check_target(const InstallTarget& target) {
  // It is written into the first lines of scripts.
  const bool bad_byte = std::any_of(target.prefix.begin(), target.prefix.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '\'' || c == 0x7f;
  });
  if (target.prefix.size() < 2 || target.prefix.front() != '/' || target.prefix.back() == '/' ||
      bad_byte)
    return Error(Code::invalid, "prefix '{}' is no absolute path that a script can name",
                 printable(target.prefix));
  const auto parts = split(target.python_minor, '.');
  if (parts.size() != 2 || !parse_number(parts[0]) || !parse_number(parts[1]))
    return Error(Code::invalid, "python version '{}', want one like '3.11'",
                 printable(target.python_minor));
  return {};
}

}  // namespace

std::string package_key(const oci::Digest& wheel_sha256, const InstallTarget& target) {
  // Each field with its length, so that no two lists of fields are one text.
  std::string text;
  for (const std::string& field :
       {std::string(kRecipe), wheel_sha256.hex(), target.prefix, target.python_minor,
        target.installer, std::string(target.direct_url_json ? "direct" : ""),
        target.direct_url_json.value_or("")})
    text += fmt::format("{}:{}\n", field.size(), field);
  return oci::Sha256::of(text).hex();
}

Result<InstalledWheel> install_wheel(const std::string& wheel_path, const WheelIdentity& identity,
                                     const InstallTarget& target, store::ObjectSink& sink,
                                     os::Workers& workers) {
  TRY(check_target(target));
  Installer installer(target, sink, workers);
  return TRY(installer.install(wheel_path, identity), "installing wheel '{}'",
             printable(identity.file_name));
}

}  // namespace kist::python
