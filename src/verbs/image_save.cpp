// kist save [-o FILE] [--format oci|docker] IMAGE…, kist bundle -o FILE [--since IMAGE] IMAGE…
#include <unistd.h>

#include "base/text.h"
#include "images/save.h"
#include "launch/paths.h"
#include "verbs/image_verbs.h"
#include "verbs/output_file.h"

namespace kist::verbs {
namespace {

Result<images::SaveFormat> format_of(const std::string& text) {
  if (text == "oci" || text == "oci-archive") return images::SaveFormat::oci;
  if (text == "docker" || text == "docker-archive") return images::SaveFormat::docker;
  return Error(Code::invalid, "unknown format '{}', want oci or docker", printable(text))
      .hint("`kist save --format docker -o FILE IMAGE`");
}

// What was asked for by name is saved under that name, what was asked for by id under none.
struct Wanted {
  std::vector<images::Image> images;
  std::vector<std::vector<std::string>> names;
};

Result<Wanted> find_all(const std::vector<std::string>& asked, const images::ImageStore& store) {
  Wanted out;
  for (const std::string& text : asked) {
    images::Image image = TRY(store.find(text));
    std::vector<std::string> names;
    for (const std::string& name : image.names)
      if (name == launch::image_name(text) || name == "localhost/" + launch::image_name(text))
        names.push_back(name);
    size_t at = 0;
    while (at < out.images.size() && out.images[at].digest != image.digest) ++at;
    if (at == out.images.size()) {
      out.images.push_back(std::move(image));
      out.names.emplace_back();
    }
    out.names[at].insert(out.names[at].end(), names.begin(), names.end());
  }
  return out;
}

}  // namespace

Result<int> save_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  images::SaveOptions options;
  options.format = TRY(format_of(parsed.value("--format", "oci")));
  const images::ImageStore store(context.store);
  std::optional<images::Image> since;
  if (parsed.has("--since")) {
    if (options.format != images::SaveFormat::oci)
      return Error(Code::invalid, "--since: only an archive of the form oci can leave layers out");
    since = TRY(store.find(parsed.value("--since")), "--since");
    options.since = &*since;
  }
  const Wanted wanted = TRY(find_all(parsed.positionals(), store));
  std::vector<images::SaveItem> items;
  for (size_t i = 0; i < wanted.images.size(); ++i)
    items.push_back({.image = &wanted.images[i], .names = wanted.names[i]});
  const auto write = [&](const store::Output& output) {
    return images::save(context.store, items, options, output);
  };
  const std::string output = parsed.value("--output");
  if (!output.empty() && output != "-") {
    TRY(write_whole_file(launch::host_path(output, context.host.working_dir), write), "cannot save");
    return 0;
  }
  if (terminal.out_is_terminal())
    return Error(Code::invalid, "cowardly refusing to save to a terminal")
        .hint("`kist save -o FILE IMAGE`, or redirect");
  const os::Fd same(::dup(STDOUT_FILENO));
  TRY(write([&](std::string_view bytes) { return os::write_all(same, bytes); }), "cannot save");
  return 0;
}

}  // namespace kist::verbs
