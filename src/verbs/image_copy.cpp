// kist copy FROM TO
#include <tuple>

#include "base/text.h"
#include "images/layout.h"
#include "launch/paths.h"
#include "os/files.h"
#include "verbs/image_verbs.h"
#include "verbs/output_file.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

// skopeo's words for where an image is.
constexpr std::string_view kFolder = "oci:";
constexpr std::string_view kArchive = "oci-archive:";

Error no_transport(std::string_view word, bool is_target) {
  Error error(Code::unsupported, "'{}' cannot be copied from or to, only registries, oci:FOLDER and oci-archive:FILE", word);
  if (word == "docker-archive:")
    return std::move(error)
        .hint(is_target ? "`kist pull NAME && kist save --format docker -o FILE NAME`" : "`kist load -i FILE && kist push NAME`");
  if (word == "containers-storage:")
    return std::move(error)
        .hint(is_target ? "`kist pull NAME && kist save NAME | podman load`" : "`podman save NAME | kist load && kist push NAME`");
  if (word == "docker-daemon:")
    return std::move(error).hint(is_target ? "`kist pull NAME && kist save --format docker NAME | docker load`"
                                           : "`docker save NAME | kist load && kist push NAME`");
  return std::move(error).hint("write it as `oci:FOLDER`");
}

struct End {
  engine::CopyEnd place;
  std::string archive;  // The file that a target of this kind becomes.
};

// "oci:FOLDER[:NAME]", split at the first colon as skopeo does.
Result<End> layout_end(std::string_view text, bool is_archive, bool is_target, const environment::Context& context) {
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string path(text.substr(0, colon));
  if (path.empty()) return Error(Code::invalid, "'{}' names no {}", is_archive ? kArchive : kFolder, is_archive ? "file" : "folder")
        .hint(is_archive ? "write it as `oci-archive:FILE`" : "write it as `oci:FOLDER`");
  End out{.place = {.reference = {}, .layout = launch::host_path(path, context.host.working_dir),
                    .name = std::string(colon < text.size() ? text.substr(colon + 1) : ""),
                    .shown = std::string(is_archive ? kArchive : kFolder) + path},
          .archive = {}};
  if (is_archive && is_target) out.archive = out.place.layout;
  return out;
}

Result<End> end_of(const std::string& text, bool is_target, const environment::Context& context) {
  for (const std::string_view other : {"docker-archive:", "containers-storage:", "docker-daemon:", "dir:"})
    if (text.starts_with(other) && !text.substr(other.size()).empty()) return no_transport(other, is_target);
  for (const bool is_archive : {false, true}) {
    const std::string_view word = is_archive ? kArchive : kFolder;
    if (text.starts_with(word)) return layout_end(std::string_view(text).substr(word.size()), is_archive, is_target, context);
  }
  oci::Reference reference = TRY(remote_name(text));
  const std::string shown = reference.string();
  return End{.place = {.reference = std::move(reference), .shown = shown}, .archive = {}};
}

Result<void> check_no_tags(const engine::CopyEnd& from, const engine::CopyEnd& to, const engine::CopyOptions& options) {
  if (!options.all_tags) return {};
  for (const engine::CopyEnd* end : {&from, &to}) {
    const bool is_one = end->reference ? !end->reference->tag.empty() || end->reference->digest : !end->name.empty();
    if (is_one) return Error(Code::invalid, "'{}' is one image, and --all-tags wants names without tag", printable(end->shown));
  }
  return {};
}

void show(const engine::Copied& copied, cli::Terminal& terminal) {
  const bool is_tag = !copied.tag.empty() && !oci::Digest::parse(copied.tag);
  terminal.line(fmt::format("{}{}@{}", copied.to, is_tag ? ":" + copied.tag : "", copied.digest.string()));
}

}  // namespace

Result<int> copy_image_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const uint64_t rate = TRY(rate_of(parsed));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network,
                                  .bytes_per_second = rate};
  End from = TRY(end_of(parsed.positionals()[0], false, context), "the first NAME");
  End to = TRY(end_of(parsed.positionals()[1], true, context), "the second NAME");
  std::tie(from.place.user, from.place.password) = TRY(credentials_of(parsed, "--src-creds"));
  std::tie(to.place.user, to.place.password) = TRY(credentials_of(parsed, "--dest-creds"));
  engine::CopyOptions options{.platform = {}, .all_tags = parsed.has("--all-tags"), .referrers = parsed.has("--referrers"),
                              .dry_run = parsed.has("--dry-run")};
  if (parsed.has("--platform")) options.platform = TRY(wanted_platform(parsed));
  TRY(check_no_tags(from.place, to.place, options));
  std::optional<os::TempDir> scratch;
  if (!to.archive.empty() && !options.dry_run) {
    scratch = TRY(os::TempDir::make(os::join(context.store.home(), "staging"), "copy."));
    to.place.layout = os::join(scratch->path(), "layout");
  }
  const auto all = TRY(engine::copy_images(transfer, from.place, to.place, options));
  if (options.dry_run) {
    uint64_t bytes = 0;
    for (const engine::Copied& copied : all) bytes += copied.sent_bytes;
    terminal.line("to copy: " + human_bytes(bytes));
    return 0;
  }
  if (scratch)
    TRY(write_whole_file(to.archive, [&](const store::Output& output) { return images::write_layout_tar(to.place.layout, output); }),
        "cannot write '{}'", printable(to.archive));
  for (const engine::Copied& copied : all) show(copied, terminal);
  return 0;
}

}  // namespace kist::verbs
