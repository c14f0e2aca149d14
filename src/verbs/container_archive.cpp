// kist export, cp with a tar
#include "verbs/container_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "archive/decompress.h"
#include "base/text.h"
#include "container_cli/verb.h"
#include "launch/paths.h"
#include "verbs/container_tar.h"

namespace kist::verbs {
namespace {

archive::TarWriter::Output output_to(const os::Fd& file) {
  return [&file](std::string_view bytes) { return os::write_all(file, bytes); };
}

// Through stdout; to a terminal nobody wants it.
Result<os::Fd> standard_output(const cli::Terminal& terminal, const char* instead) {
  if (terminal.out_is_terminal())
    return Error(Code::invalid, "cowardly refusing to write a tar to a terminal").hint(instead);
  return os::Fd(::dup(STDOUT_FILENO));
}

Result<void> write_root(const containers::ContainerFiles& files, const os::Fd& to) {
  archive::TarWriter tar = TRY(archive::TarWriter::open(output_to(to)));
  ContainerTar writer(tar, files.root());
  const os::Fd top = TRY(os::open_at(files.root(), ".", O_RDONLY | O_DIRECTORY));
  TRY(writer.add_contents(top, ""));
  return std::move(tar).finish();
}

Result<void> copy_out(const containers::ContainerFiles& files, const std::string& given, bool follow, const os::Fd& to) {
  const bool contents = given == "." || given.ends_with("/.") || launch::clean_path("/" + given) == "/";
  const bool is_followed = follow || contents || given.ends_with('/');
  const std::string path = launch::clean_path("/" + given);
  const auto source = os::open_in_root(files.root(), path, is_followed ? O_PATH : O_PATH | O_NOFOLLOW);
  if (!source && source.error().code() == Code::not_found)
    return Error(Code::not_found, "there is no '{}' in the container", printable(path));
  if (!source) return source.error();
  archive::TarWriter tar = TRY(archive::TarWriter::open(output_to(to)));
  ContainerTar writer(tar, files.root());
  TRY(writer.add_tree(*source, contents ? "." : std::string(os::name_of(path))));
  return std::move(tar).finish();
}

Result<void> copy_in(const containers::ContainerFiles& files, const std::string& given, bool keep_owners) {
  const std::string path = launch::clean_path("/" + given);
  const auto target = os::open_in_root(files.root(), path, O_RDONLY | O_DIRECTORY);
  if (!target)
    return Error(Code::not_found, "there is no directory '{}' in the container to unpack into", printable(path));
  std::string buffer(256 << 10, '\0');
  archive::TarReader::Source source = [&]() -> Result<std::string_view> {
    ssize_t got;
    do got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return Error::from_errno(errno, "read the archive");
    return std::string_view(buffer.data(), static_cast<size_t>(got));
  };
  const std::string start = TRY(archive::peek(source, 6));
  const archive::TarFilter filter = archive::detect_filter(start);
  archive::TarReader tar = TRY(archive::TarReader::open(std::move(source), filter, {}));
  return unpack_into(files.root(), path, tar, keep_owners);
}

}  // namespace

Result<int> export_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  const auto record = TRY(here.record(parsed.positionals()[0]));
  const std::string output = parsed.value("--output", "-");
  const auto write = [&](const os::Fd& to) {
    return container_cli::with_files(here, record, {}, [&](const auto& files) { return write_root(files, to); });
  };
  if (output == "-") {
    const os::Fd to = TRY(standard_output(terminal, "`kist export -o FILE CONTAINER`, or redirect"));
    TRY(write(to), "cannot export");
  } else {
    // A file appears whole or not at all.
    const std::string path = launch::host_path(output, context.host.working_dir);
    const std::string partial = path + ".kist-partial";
    os::Fd file = TRY(os::open_file(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600), "cannot export");
    Result<void> done = write(file);
    if (done) done = std::move(file).close();
    if (done && std::rename(partial.c_str(), path.c_str()) != 0)
      done = Error::from_errno(errno, "rename '{}' to '{}'", printable(partial), printable(path));
    if (!done) {
      ::unlink(partial.c_str());
      return Error(done.error()).context("cannot export");
    }
  }
  containers::note(here.place, record, "export");
  return 0;
}

Result<int> copy_tar_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  const std::string& from = parsed.positionals()[0];
  const std::string& to = parsed.positionals()[1];
  const auto [container, path] = container_cli::split_container_path(from == "-" ? to : from);
  if (container.empty() || from == to)
    return Error(Code::invalid, "must specify at least one container source").hint("write it as `CONTAINER:/PATH`");
  const auto record = TRY(here.record(container));
  os::Fd out;
  if (from != "-") out = TRY(standard_output(terminal, "redirect it, or `| tar t`"));
  const std::string& inside = path;
  TRY(container_cli::with_files(here, record, {.mounts = true}, [&](const auto& files) {
    return from == "-" ? copy_in(files, inside, parsed.has("--archive"))
                       : copy_out(files, inside, parsed.has("--follow-link"), out);
  }));
  return 0;
}

bool is_container_archive_verb(std::string_view name) { return name == "export" || name == "commit" || name == "cp"; }

Result<int> container_archive_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                                   cli::Terminal& terminal) {
  if (name == "export") return export_verb(parsed, context, terminal);
  if (name == "commit") return commit_verb(parsed, context, terminal);
  return copy_tar_verb(parsed, context, terminal);
}

}  // namespace kist::verbs
