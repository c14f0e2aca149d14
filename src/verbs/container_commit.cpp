// kist commit [-a AUTHOR] [-m TEXT] [-c CHANGE] [-p] CONTAINER [NAME[:TAG]]
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "images/commit.h"
#include "verbs/container_archive.h"
#include "verbs/container_tar.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {
namespace {

// While it is copied nothing changes; let go of when this object goes away.
class Pause {
 public:
  Pause(const container_cli::Here& here, const containers::Record& record, bool wanted) : here_(here), record_(record) {
    const auto status = here.place.status(record.id);
    halted_ = wanted && status && status->phase == containers::Phase::running &&
              containers::pause(here.place, here.runtime, record, true).has_value();
  }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause() {
    if (halted_) (void)containers::pause(here_.place, here_.runtime, record_, false).has_value();
  }

 private:
  const container_cli::Here& here_;
  const containers::Record& record_;
  bool halted_ = false;
};

// A file without a name: the layer is read back from its beginning.
Result<std::shared_ptr<os::Fd>> write_layer(const environment::Context& context, const container_cli::Here& here,
                                            const containers::Record& record, bool halt) {
  TRY(os::make_folders(context.store.home()));
  os::Fd unnamed = TRY(os::open_file(context.store.home(), O_TMPFILE | O_RDWR, 0600));
  auto file = std::make_shared<os::Fd>(std::move(unnamed));
  const Pause pause(here, record, halt);
  const auto write = [&](const containers::ContainerFiles& files) -> Result<void> {
    const auto changes = TRY(containers::changes_of(files));
    archive::TarWriter tar =
        TRY(archive::TarWriter::open([&](std::string_view bytes) { return os::write_all(*file, bytes); }));
    ContainerTar writer(tar, files.root());
    TRY(writer.add_changes(changes));
    return std::move(tar).finish();
  };
  TRY(container_cli::with_files(here, record, {.image = true}, write));
  if (::lseek(file->get(), 0, SEEK_SET) != 0) return Error::from_errno(errno, "read the layer back");
  return file;
}

archive::Source source_of(std::shared_ptr<os::Fd> file) {
  auto buffer = std::make_shared<std::string>(256u << 10, '\0');
  return archive::Source([file = std::move(file), buffer]() -> Result<std::string_view> {
    const ssize_t got = ::read(file->get(), buffer->data(), buffer->size());
    if (got < 0) return Error::from_errno(errno, "read the layer back");
    return std::string_view(buffer->data(), static_cast<size_t>(got));
  });
}

// As docker: what the container was started with, over what the image has.
oci::RunConfig run_config(const oci::RunConfig& image, const containers::Record& record) {
  oci::RunConfig out = image;
  out.entrypoint = record.entrypoint;
  out.cmd = record.command;
  out.env = record.env;
  out.user = record.user;
  out.working_dir = record.working_dir == "/" ? image.working_dir : record.working_dir;
  out.labels = record.labels;
  out.exposed_ports = record.exposed_ports;
  if (record.stop_signal != "SIGTERM") out.stop_signal = record.stop_signal;
  return out;
}

}  // namespace

Result<int> commit_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  const auto record = TRY(here.record(parsed.positionals()[0]));
  images::CommitOptions options;
  if (parsed.positionals().size() > 1) {
    const oci::Reference name = TRY(oci::Reference::parse(parsed.positionals()[1]), "NAME");
    options.names.push_back(name.name());
  }
  options.changes = parsed.values("--change");
  options.message = parsed.value("--message");
  options.author = parsed.value("--author");
  options.created = format::rfc3339(context.now_s);
  options.created_by = fmt::format("{}", fmt::join(record.args(), " "));
  const images::ImageStore store(context.store);
  const images::Image base = TRY(store.find(record.image_id), "the container's image");
  const bool halt = !parsed.off("--pause") && !parsed.has("--no-pause");
  auto layer = TRY(write_layer(context, here, record, halt), "cannot commit {}", printable(record.name));
  const images::Image image = TRY(images::commit_image(intake_of(context), base, run_config(base.config.run, record),
                                                       source_of(std::move(layer)), options),
                                  "cannot commit {}", printable(record.name));
  containers::note(here.place, record, "commit", {{"imageID", image.id.string()}});
  terminal.line(image.id.string());
  return 0;
}

}  // namespace kist::verbs
