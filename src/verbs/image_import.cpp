// kist import FILE|- [NAME] [--change C] [--message M] [--platform P]
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "format/human.h"
#include "images/import.h"
#include "launch/paths.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {
namespace {

Result<archive::Source> open_source(const std::string& path, const environment::Context& context) {
  os::Fd opened;
  if (path == "-") opened = os::Fd(::dup(STDIN_FILENO));
  else opened = TRY(os::open_file(launch::host_path(path, context.host.working_dir), O_RDONLY));
  auto fd = std::make_shared<os::Fd>(std::move(opened));
  auto buffer = std::make_shared<std::string>(256u << 10, '\0');
  return archive::Source([fd, buffer]() -> Result<std::string_view> {
    ssize_t got;
    do got = ::read(fd->get(), buffer->data(), buffer->size());
    while (got < 0 && errno == EINTR);
    if (got < 0) return Error::from_errno(errno, "read the archive");
    return std::string_view(buffer->data(), static_cast<size_t>(got));
  });
}

}  // namespace

Result<int> import_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal) {
  images::ImportOptions options;
  options.source = parsed.positionals()[0];
  options.changes = parsed.values("--change");
  options.message = parsed.value("--message");
  options.created = format::rfc3339(context.now_s);
  const std::string platform = parsed.value("--platform");
  if (!platform.empty()) options.platform = TRY(oci::Platform::parse(platform), "--platform");
  if (parsed.positionals().size() > 1) {
    const oci::Reference name = TRY(oci::Reference::parse(parsed.positionals()[1]), "NAME");
    options.names.push_back(name.name());
  }
  archive::Source source = TRY(open_source(options.source, context), "cannot import '{}'",
                               printable(options.source));
  const images::Intake intake = intake_of(context);
  const images::Image image = TRY(images::import_image(intake, std::move(source), options),
                                  "cannot import '{}'", printable(options.source));
  note_image(context, "import", image.id, options.names.empty() ? "" : options.names[0]);
  terminal.line(image.id.string());
  return 0;
}

}  // namespace kist::verbs
