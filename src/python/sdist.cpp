#include "python/sdist.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "archive/zip_writer.h"
#include "base/text.h"
#include "os/files.h"
#include "toml/toml.h"
#include "python/wheel.h"

namespace kist::python {
namespace {

// Raise it when another wheel would be made of the same sources.
constexpr std::string_view kRecipe = "kist-sdist-1";
constexpr uint64_t kMaxProjectFile = 4u << 20;
constexpr uint64_t kMaxResult = 1u << 20;
constexpr size_t kLogTail = 4000;

// What pip assumes for projects that say nothing.
constexpr std::string_view kLegacyRequirement = "setuptools>=40.8.0";
constexpr std::string_view kLegacyBackend = "setuptools.build_meta:__legacy__";

// Runs one hook of the backend. The result goes to a file, since backends print to stdout.
constexpr std::string_view kHookProgram = R"py(
import importlib, os, sys
hook, project, output, backend = sys.argv[1:5]
# PEP 517: neither the project's folder nor this program is importable, but what it names is.
paths = [os.path.join(project, path) for path in sys.argv[5:]]
sys.path[:] = paths + [path for path in sys.path if path]
os.umask(0o022)
os.chdir(project)
module, _, attributes = backend.partition(':')
target = importlib.import_module(module)
origin = os.path.realpath(getattr(target, '__file__', None) or '')
if paths and not any(origin.startswith(os.path.realpath(path) + os.sep) for path in paths):
    sys.exit('backend %r is not in backend-path but in %r' % (module, origin))
for attribute in filter(None, attributes.split('.')):
    target = getattr(target, attribute)
if hook.startswith('get_requires_'):
    function = getattr(target, hook, None)
    result = list(function(None)) if function else []
else:
    result = [getattr(target, hook)(output, None, None)]
with open(os.path.join(output, 'result'), 'wb') as file:
    file.write(b''.join(os.fsencode(item) + b'\0' for item in result))
)py";

Result<std::string> read_inside(const std::string& folder, const std::string& name,
                                uint64_t limit_bytes) {
  const os::Fd root = TRY(os::open_file(folder, O_RDONLY | O_DIRECTORY));
  const os::Fd file = TRY(os::open_in_root(root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat st = {};
  if (::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Error(Code::invalid, "'{}' is no regular file", printable(name));
  return TRY(os::read_all(file, limit_bytes), "reading '{}'", printable(name));
}

bool leaves_folder(std::string_view path) {
  if (path.starts_with('/')) return true;
  const auto parts = split(path, '/');
  return std::find(parts.begin(), parts.end(), "..") != parts.end();
}

// "module.name:object.name", of Python's letters.
bool is_backend(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '_' || c == '.' || c == ':';
  };
  return !text.empty() && text.front() != ':' && std::all_of(text.begin(), text.end(), allowed);
}

class Builder {
 public:
  Builder(const BuildRequest& request, const BuildRunner& runner)
      : request_(request), runner_(runner) {}

  Result<std::vector<std::string>> requirements() {
    system_ = TRY(read_build_system(request_.project_folder));
    const bool editable = request_.kind == BuildKind::editable;
    const std::vector<std::string> more =
        TRY(run_hook(editable ? "get_requires_for_build_editable" : "get_requires_for_build_wheel",
                     "requires"));
    for (const std::string& requirement : more) system_.requirements.push_back(requirement);
    return system_.requirements;
  }

  Result<std::string> build() {
    TRY(requirements());
    const bool editable = request_.kind == BuildKind::editable;
    const std::vector<std::string> made =
        TRY(run_hook(editable ? "build_editable" : "build_wheel", "wheel"));
    if (made.size() != 1)
      return Error(Code::invalid, "the backend '{}' named {} wheels, want 1", system_.backend,
                   made.size());
    return take_wheel(made.front());
  }

 private:
  Result<std::vector<std::string>> run_hook(const std::string& hook, const std::string& folder) {
    output_ = os::join(request_.scratch_folder, folder);
    TRY(os::make_folders(output_));
    BuildStep step{.requirements = system_.requirements,
                   .args = {request_.python, "-s", "-B", "-c", std::string(kHookProgram), hook,
                            request_.inside_project, request_.inside_output, system_.backend},
                   .env = environment(),
                   .project_folder = request_.project_folder,
                   .output_folder = output_};
    for (const std::string& path : system_.backend_paths) step.args.push_back(path);
    const os::Output done = TRY(runner_(step), "running {}", hook);
    if (done.status != 0) return failure(hook, done);
    const std::string text = TRY(read_inside(output_, "result", kMaxResult));
    std::vector<std::string> out;
    for (const std::string_view item : split(text, '\0'))
      if (!item.empty()) out.emplace_back(item);
    return out;
  }

  static std::vector<std::string> environment() {
    return {"HOME=/tmp",
            "LC_ALL=C.UTF-8",
            "PYTHONHASHSEED=0",
            "PYTHONNOUSERSITE=1",
            // 1980-01-01, the earliest that a zip can hold; many tools date what they make by it.
            "SOURCE_DATE_EPOCH=315532800",
            "TZ=UTC"};
  }

  Error failure(const std::string& hook, const os::Output& done) const {
    std::string_view log = done.err.empty() ? done.out : done.err;
    log = trim(log);
    if (log.size() > kLogTail) log.remove_prefix(log.size() - kLogTail);
    std::string shown;
    for (const std::string_view line : lines(log)) shown += "\n    " + printable(line);
    return Error(Code::invalid, "{} of '{}' failed with status {}:{}", hook,
                 printable(system_.backend), done.status, shown);
  }

  // The wheel lies in a folder that the build could write: its name and kind are checked, and what
  // is used is a copy that only we have written.
  Result<std::string> take_wheel(const std::string& name) {
    if (name.find('/') != std::string::npos)
      return Error(Code::invalid, "the backend named '{}', which is no file name", printable(name));
    const os::Fd root = TRY(os::open_file(output_, O_RDONLY | O_DIRECTORY));
    const os::Fd file = TRY(os::open_in_root(root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    const std::string path = fmt::format("/proc/self/fd/{}", file.get());
    {
      const archive::ZipFile zip = TRY(archive::ZipFile::open(path, kWheelLimits));
      archive::ZipScratch scratch;
      const WheelIdentity identity{
          .file_name = name, .name = request_.name, .version = request_.version};
      TRY(inspect_wheel(zip, identity, scratch), "the wheel that was built, '{}'", printable(name));
    }
    const std::string out = os::join(request_.wheel_folder, name);
    TRY(normalize_wheel(path, out));
    return out;
  }

  const BuildRequest& request_;
  const BuildRunner& runner_;
  BuildSystem system_;
  std::string output_;
};

}  // namespace

Result<BuildSystem> read_build_system(const std::string& project_folder) {
  BuildSystem out{.requirements = {std::string(kLegacyRequirement)},
                  .backend = std::string(kLegacyBackend),
                  .backend_paths = {}};
  const auto text = read_inside(project_folder, "pyproject.toml", kMaxProjectFile);
  if (!text && text.error().code() == Code::not_found) return out;
  if (!text) return text.error();
  const toml::Value root = TRY(toml::parse(*text, "pyproject.toml"));
  toml::Fields fields = TRY(toml::Fields::of(root, "pyproject.toml"));
  auto table = TRY(fields.optional_table("build-system"));
  if (!table) return out;
  if (!table->has("requires"))
    return table->error("requires", "[build-system] lacks 'requires' (PEP 518)");
  out.requirements = TRY(table->optional_strings("requires"));
  const std::string backend = TRY(table->optional_string("build-backend"));
  if (!backend.empty()) out.backend = backend;
  if (!is_backend(out.backend))
    return table->error("build-backend", "'{}' is no name of a module or of an object in one",
                        printable(out.backend));
  out.backend_paths = TRY(table->optional_strings("backend-path"));
  for (const std::string& path : out.backend_paths)
    if (leaves_folder(path))
      return table->error("backend-path", "'{}' is not inside the project", printable(path));
  return out;
}

Result<std::string> build_wheel(const BuildRequest& request, const BuildRunner& runner) {
  return Builder(request, runner).build();
}

Result<std::vector<std::string>> build_requirements(const BuildRequest& request,
                                                    const BuildRunner& runner) {
  return Builder(request, runner).requirements();
}

Result<void> normalize_wheel(const std::string& from, const std::string& to) {
  const archive::ZipFile zip = TRY(archive::ZipFile::open(from, kWheelLimits));
  std::vector<const archive::ZipEntry*> entries;
  for (const archive::ZipEntry& entry : zip.entries()) {
    const uint32_t type = entry.unix_mode & S_IFMT;
    if (type != 0 && type != S_IFREG && type != S_IFDIR)
      return Error(Code::invalid, "entry '{}' is a link or a device", printable(entry.name));
    if (!entry.is_folder) entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  archive::ZipWriter writer = TRY(archive::ZipWriter::create(to));
  archive::ZipScratch scratch;
  std::string_view last;
  for (const archive::ZipEntry* entry : entries) {
    if (entry->name == last)
      return Error(Code::invalid, "two entries have the name '{}'", printable(entry->name));
    last = entry->name;
    TRY(writer.begin_file({.name = std::string(entry->name),
                           .mode = (entry->unix_mode & 0111) != 0 ? 0755u : 0644u,
                           .size_bytes = entry->size_bytes,
                           .crc = entry->crc}));
    TRY(zip.read_chunks(*entry, scratch, [&](std::string_view chunk) -> Result<void> {
      return writer.write(chunk);
    }));
  }
  return std::move(writer).finish();
}

std::string sdist_key(const oci::Digest& sdist, std::string_view builder, BuildKind kind) {
  std::string text;
  for (const std::string& field :
       {std::string(kRecipe), sdist.hex(), std::string(builder),
        std::string(kind == BuildKind::wheel ? "wheel" : "editable")})
    text += fmt::format("{}:{}\n", field.size(), field);
  return oci::Sha256::of(text).hex();
}

}  // namespace kist::python
