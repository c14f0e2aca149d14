#include "base/text.h"
#include "engine/edit.h"
#include "python/tags.h"

namespace kist::engine {
namespace {

constexpr std::string_view kInputs[] = {"requirements.txt", "pyproject.toml", "uv.lock",
                                        "pylock.toml",      "poetry.lock",    "Pipfile.lock",
                                        "setup.py"};

constexpr std::string_view kRequirements =
    "# What the project needs, a package a line. `kist add NAME` writes here too.\n"
    "# pandas>=2\n";

std::string settings_text(const InitOptions& options) {
  const std::string python =
      options.python.empty() ? "# python = \"3.11\"        # else the newest of Debian stable\n"
                             : fmt::format("python = \"{}\"\n", options.python);
  return fmt::format(
      "[environment]\n{}"
      "# system = [\"ffmpeg\"]     # Debian packages; `kist add --system NAME` writes here\n"
      "\n[run]\n"
      "# env = {{ OMP_NUM_THREADS = \"4\" }}\n"
      "# mounts = [\"~/data:/data:ro\"]\n"
      "\n[tasks]\n"
      "# train = \"python train.py\"     # `kist task train`\n",
      python);
}

}  // namespace

Result<std::vector<std::string>> init_project(const std::string& folder,
                                              const InitOptions& options) {
  const std::string settings = os::join(folder, "kist.toml");
  if (os::exists(settings))
    return Error(Code::exists, "'{}' is here already", printable(settings))
        .hint("`kist add NAME` adds a package");
  if (!options.python.empty()) TRY(python::make_target("linux/amd64", options.python, 36), "--python");
  bool has_input = false;
  for (const std::string_view name : kInputs)
    has_input = has_input || os::exists(os::join(folder, name));
  if (const auto text = os::read_file(os::join(folder, "pyproject.toml"), 16 << 20)) {
    const python::Pyproject pyproject = TRY(python::parse_pyproject(*text));
    if (pyproject.kist)
      return Error(Code::exists, "[tool.kist] stands in pyproject.toml already")
          .hint("`kist add NAME` adds a package");
  }
  std::vector<std::string> written = {"kist.toml"};
  TRY(os::make_folders(folder));
  TRY(os::write_file_durably(settings, settings_text(options)));
  if (has_input || options.is_bare) return written;
  TRY(os::write_file_durably(os::join(folder, "requirements.txt"), kRequirements));
  written.emplace_back("requirements.txt");
  return written;
}

}  // namespace kist::engine
